"""The record that walks through a step once: prompt, completion, outcome, reward, advantage; and its tensors."""

from dataclasses import asdict, dataclass, field, fields

import torch
from torch import Tensor

TOKEN_FIELDS = ("prompt", "completion", "log_probs", "token_rewards")


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
    token_rewards: list[float] = field(default_factory=list)  # T of them; empty: the reward falls on the last token
    advantage: float = 0.0  # mean over the tokens

    def record(self) -> dict:
        """What rollouts.jsonl keeps: all but the token-level numbers."""
        kept = asdict(self)
        for name in TOKEN_FIELDS:
            del kept[name]
        return kept | {"tokens": len(self.completion)}


@dataclass
class Batch:
    """The tensors of B rollouts, right-padded to the longest; what an algorithm fills in is None until then."""

    rollouts: list[Rollout]
    mask: Tensor  # (B, T), 1.0 at the tokens of each completion
    loss_mask: Tensor  # (B, T), 1.0 at the tokens that the loss counts: `mask`, or less of it
    sampled_log_probs: Tensor  # (B, T), the sampler's own; 0 where nothing was sampled (SFT)
    old_log_probs: Tensor  # (B, T), of the policy before this batch changes it: the sampler's own, or recomputed
    weights: Tensor | None = None  # (B, T), truncated importance weights of old against sampled
    ref_log_probs: Tensor | None = None  # (B, T), of the reference policy
    advantages: Tensor | None = None  # (B, T)
    values: Tensor | None = None  # (B, T), the critic's before this batch changes it (PPO)
    returns: Tensor | None = None  # (B, T), what the critic is to predict (PPO)

    def rows(self, chosen: list[int]) -> "Batch":
        """The batch of some rows, cut to the longest of them."""
        rollouts = [self.rollouts[i] for i in chosen]
        width = max(len(rollout.completion) for rollout in rollouts)
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "rollouts"}
        return Batch(rollouts, **{n: None if t is None else t[chosen, :width] for n, t in tensors.items()})


def make_batch(rollouts: list[Rollout], device="cpu", mask_truncated: bool = False) -> Batch:
    """The tensors that the rollouts bring along. With `mask_truncated`, a completion that ran out of its token
    budget has no part in the loss (DAPO's overlong filtering)."""
    mask, sampled = length_mask(rollouts).to(device), sampled_log_probs(rollouts).to(device)  # (B, T)
    loss_mask = mask
    if mask_truncated:
        complete = torch.tensor([float(rollout.finish != "length") for rollout in rollouts], device=device)
        loss_mask = mask * complete[:, None]
    return Batch(rollouts, mask, loss_mask, sampled, sampled)


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
    return _padded([rollout.log_probs for rollout in rollouts], rollouts)


def token_rewards(rollouts: list[Rollout]) -> Tensor:
    """(B, T): each rollout's own row of rewards, or its one reward at its last token. 0 at the padding.

    Example: a reward of 1.0 for three tokens is [0, 0, 1]. ValueError for a row that does not fit its tokens.
    """
    rows = []
    for rollout in rollouts:
        row, length = rollout.token_rewards, len(rollout.completion)
        if row and len(row) != length:
            raise ValueError(f"prompt {rollout.prompt_id}: {len(row)} token rewards for {length} tokens")
        rows.append(row or [0.0] * (length - 1) + [rollout.reward])
    return _padded(rows, rollouts)


def _padded(rows: list[list[float]], rollouts: list[Rollout]) -> Tensor:
    width = max(len(rollout.completion) for rollout in rollouts)
    return torch.tensor([row + [0.0] * (width - len(row)) for row in rows])  # (B, T)


def per_token(advantages: Tensor, mask: Tensor) -> Tensor:
    """One advantage a rollout, (B,) or (N, G), spread evenly over its tokens: (B, T), 0 at the padding.

    The special case of a credit that knows more than the whole completion's worth: the losses take any (B, T).
    """
    return advantages.flatten()[:, None].to(mask) * mask


def has_spread(rewards: Tensor) -> Tensor:
    """For each prompt, whether the rewards of its group differ at all: (N, G) -> (N,). Where they do not, GRPO, GSPO
    and RLOO learn nothing from it.

    Asked of the rewards themselves: a mean or a sum of equal floats is rounded, and may differ from them.
    """
    return (rewards != rewards[:, :1]).any(dim=1)


def overlong_penalty(length: int, budget: int, buffer: int) -> float:
    """Soft overlong punishment (DAPO, arXiv 2503.14476, eq. 13): 0 up to budget - buffer tokens, then down to -1.

    Example: with budget 72 and buffer 20, 52 tokens cost 0, 62 cost 0.5 and 72 cost 1.
    """
    return min(0.0, (budget - buffer - length) / buffer)
