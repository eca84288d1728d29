"""The record that walks through a step once: prompt, completion, outcome, reward, advantage; and its tensors."""

from dataclasses import asdict, dataclass, field, fields

import torch
from torch import Tensor

TOKEN_FIELDS = ("prompt", "completion", "log_probs", "token_rewards", "token_weights")


@dataclass
class Rollout:
    """One sampled answer to one prompt. Filled in from top to bottom, then written down as a line of JSON.

    `outcome` is a plain record of what the program did, made outside `rl`; `stage` and the rest of it are
    looked at by rewards and reports only, and so are `findings`.
    """

    prompt_id: int | str
    sample: int  # index within the group
    prompt: list[int]  # token ids, P of them
    completion: list[int]  # token ids, T of them; the end-of-sequence token is among them if it was sampled
    log_probs: list[float]  # of each completion token under the distribution that it was drawn from, in nats
    finish_reason: str  # eos | stop | length
    text: str
    program: tuple[int, int, bool] = (0, 0, False)  # characters of the text that were executed; fenced or not
    prefix: str = ""  # code that was executed before them: the stub that the completion goes on from
    outcome: dict = field(default_factory=dict)
    findings: dict = field(default_factory=dict)  # what static analysis found, in counts
    reward: float = 0.0
    components: dict[str, float] = field(default_factory=dict)
    # Credit per token (rl/credit.py). `located`: the part of the reward that was won or lost there; what is left,
    # reward - sum(located), belongs to the whole completion. `credit`: the share of its advantage that a token gets.
    token_rewards: list[float] = field(default_factory=list)  # T of them; empty: 0.0 everywhere
    token_weights: list[float] = field(default_factory=list)  # T of them, in 0..1; empty: 1.0 everywhere
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
        complete = torch.tensor([float(rollout.finish_reason != "length") for rollout in rollouts], device=device)
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


def dense_rewards(rollouts: list[Rollout]) -> Tensor:
    """(B, T): what is located at each token, and the rest of the reward on the last one: a row's sum is its reward.

    Example: a reward of 1.0 for three tokens is [0, 0, 1]; with [0, -0.5, 0] located in it, it is [0, -0.5, 1.5].
    """
    earlier = [_row(rollout, "token_rewards", 0.0)[:-1] for rollout in rollouts]
    rows = [row + [rollout.reward - sum(row)] for row, rollout in zip(earlier, rollouts, strict=True)]
    return _padded(rows, rollouts)


def token_values(rollouts: list[Rollout], name: str, default: float) -> Tensor:
    """(B, T): the rollouts' field `name`, one number a token; `default` along a row that is empty; 0 at the padding.

    ValueError for a row that does not fit its tokens.
    """
    return _padded([_row(rollout, name, default) for rollout in rollouts], rollouts)


def _row(rollout: Rollout, name: str, default: float) -> list[float]:
    row, length = getattr(rollout, name), len(rollout.completion)
    if row and len(row) != length:
        raise ValueError(f"prompt {rollout.prompt_id}: {name}: {len(row)} numbers for {length} tokens")
    return row or [default] * length


def _padded(rows: list[list[float]], rollouts: list[Rollout]) -> Tensor:
    width = max(len(rollout.completion) for rollout in rollouts)
    return torch.tensor([row + [0.0] * (width - len(row)) for row in rows])  # (B, T)


def has_spread(rewards: Tensor) -> Tensor:
    """For each prompt, whether the rewards of its group differ at all: (N, G) -> (N,). Where they do not, GRPO, GSPO
    and RLOO learn nothing from it.

    Asked of the rewards themselves: a mean or a sum of equal floats is rounded, and may differ from them.
    """
    return (rewards != rewards[:, :1]).any(dim=1)
