"""The record that walks through a step once: prompt, completion, outcome, reward, advantage; and its tensors."""

from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor


@dataclass
class Rollout:
    """One sampled answer to one prompt. Filled in from top to bottom, then written down as a line of JSON.

    `outcome` is a plain record of what the program did, made outside `rl`; `stage` and the rest of it are
    looked at by rewards and reports only.
    """

    prompt_id: int
    sample: int  # index within the group
    prompt: list[int]  # token ids, P of them
    completion: list[int]  # token ids, T of them; the end-of-sequence token is among them if it was sampled
    log_probs: list[float]  # of each completion token under the distribution that it was drawn from, in nats
    finish: str  # eos | stop | length
    text: str
    program: tuple[int, int] = (0, 0)  # character range of the text that was executed
    outcome: dict = field(default_factory=dict)
    reward: float = 0.0
    components: dict[str, float] = field(default_factory=dict)
    advantage: float = 0.0  # mean over the tokens

    def record(self) -> dict:
        """What rollouts.jsonl keeps: all but the token-level numbers."""
        kept = asdict(self)
        for name in ("prompt", "completion", "log_probs"):
            del kept[name]
        return kept | {"tokens": len(self.completion)}


def reward_table(rollouts: list[Rollout], group_size: int) -> Tensor:
    """The rewards as (N, G): one line per prompt. Rollouts stand prompt by prompt, as the sampler returns them."""
    return torch.tensor([rollout.reward for rollout in rollouts]).view(-1, group_size)


def length_mask(rollouts: list[Rollout]) -> Tensor:
    """(B, T), 1.0 at the tokens of each completion. From lengths, never from ids: EOS is an action.

    Example: lengths 2 and 3 give [[1, 1, 0], [1, 1, 1]].
    """
    lengths = torch.tensor([len(rollout.completion) for rollout in rollouts])  # (B,)
    return (torch.arange(int(lengths.max())) < lengths[:, None]).float()


def sampled_log_probs(rollouts: list[Rollout]) -> Tensor:
    """(B, T), the sampler's own log-probabilities, 0 at the padding."""
    width = max(len(rollout.completion) for rollout in rollouts)
    return torch.tensor([r.log_probs + [0.0] * (width - len(r.log_probs)) for r in rollouts])


def per_token(advantages: Tensor, rollouts: list[Rollout]) -> Tensor:
    """One advantage a rollout, (B,) or (N, G), spread evenly over its tokens: (B, T), 0 at the padding."""
    return advantages.flatten()[:, None] * length_mask(rollouts)
