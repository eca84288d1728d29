"""The record that walks through a step once: prompt, completion, outcome, reward, advantage; and its tensors."""

from dataclasses import dataclass, field, fields

import torch
from torch import Tensor


@dataclass
class Rollout:
    """One sampled answer to one prompt. Each station of a step fills in the next fields; the last one writes it down.

    `rl` reads tokens, rewards and token credit only. The judge's and the linters' records pass through unread.
    """

    prompt_id: int | str
    sample: int  # index within the group
    prompt: list[int]  # P token ids
    completion: list[int]  # T token ids, with the end-of-sequence token if it was sampled
    log_probs: list[float]  # of each completion token under the distribution that it was sampled from, in nats
    finish_reason: str  # eos | stop | length
    text: str
    token_ranges: list[tuple[int, int]] = field(default_factory=list)  # characters [start, end) of each token
    program: tuple[int, int, bool] = (0, 0, False)  # start and end of the program in the text; fenced or not
    prefix: str = ""  # code that runs before the program: the stub that the completion continues
    # set by the judge
    outcome: object = None  # sandbox.Outcome: what the program did
    analysis: object = None  # rewards.answer.Analysis: what Ruff and Bandit found, with places
    findings: dict = field(default_factory=dict)  # the same in counts
    # set by the reward
    reward: float = 0.0
    components: dict[str, float] = field(default_factory=dict)
    spans: tuple = ()  # rewards.answer.Span: where in the text the reward was won or lost
    # credit (rl/credit.py)
    token_rewards: list[float] = field(default_factory=list)  # T parts of the reward; empty: 0.0 everywhere
    token_weights: list[float] = field(default_factory=list)  # T shares of the advantage, 0..1; empty: 1.0 everywhere
    # set by the algorithm
    advantage: float = 0.0  # mean over the tokens


@dataclass
class Batch:
    """The tensors of B rollouts, right-padded to the longest. A field that is not known yet is None."""

    rollouts: list[Rollout]
    mask: Tensor  # (B, T), 1.0 at the tokens of each completion
    loss_mask: Tensor  # (B, T), 1.0 at the tokens that the loss counts: `mask` or less
    sampled_log_probs: Tensor  # (B, T), the sampler's own; 0 where nothing was sampled (SFT)
    old_log_probs: Tensor  # (B, T), of the policy before this batch changes it: the sampler's own, or recomputed
    weights: Tensor | None = None  # (B, T), truncated importance weights of old against sampled
    ref_log_probs: Tensor | None = None  # (B, T), of the reference policy
    advantages: Tensor | None = None  # (B, T)
    values: Tensor | None = None  # (B, T), the critic's before this batch changes it (PPO)
    returns: Tensor | None = None  # (B, T), the critic's targets (PPO)

    def rows(self, chosen: list[int]) -> "Batch":
        """The batch of some rows, cut to the longest of them."""
        rollouts = [self.rollouts[i] for i in chosen]
        width = max(len(rollout.completion) for rollout in rollouts)
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "rollouts"}
        return Batch(rollouts, **{n: None if t is None else t[chosen, :width] for n, t in tensors.items()})


def make_batch(rollouts: list[Rollout], device="cpu", mask_truncated: bool = False) -> Batch:
    """Masks and the sampler's log-probabilities as tensors. `mask_truncated` takes completions that used up their token
    budget out of the loss (DAPO's overlong filtering)."""
    mask = length_mask(rollouts).to(device)  # (B, T)
    sampled = pad_rows([rollout.log_probs for rollout in rollouts], rollouts).to(device)  # (B, T)
    loss_mask = mask
    if mask_truncated:
        complete = torch.tensor([float(rollout.finish_reason != "length") for rollout in rollouts], device=device)
        loss_mask = mask * complete[:, None]
    return Batch(rollouts, mask, loss_mask, sampled, sampled)


def length_mask(rollouts: list[Rollout]) -> Tensor:
    """(B, T), 1.0 at the tokens of each completion. From lengths, never from ids: EOS is an action.

    Example: lengths 2 and 3 give [[1, 1, 0], [1, 1, 1]].
    """
    lengths = torch.tensor([len(rollout.completion) for rollout in rollouts])  # (B,)
    return (torch.arange(int(lengths.max())) < lengths[:, None]).float()


def pad_rows(rows: list[list[float]], rollouts: list[Rollout]) -> Tensor:
    """One number a token -> (B, T), 0 at the padding."""
    width = max(len(rollout.completion) for rollout in rollouts)
    return torch.tensor([row + [0.0] * (width - len(row)) for row in rows])  # (B, T)


def reward_table(rollouts: list[Rollout]) -> Tensor:
    """The rewards as (N, G): one line per prompt. Rollouts stand prompt by prompt, G for each."""
    prompts = {rollout.prompt_id for rollout in rollouts}
    return torch.tensor([rollout.reward for rollout in rollouts]).view(len(prompts), -1)


def has_spread(rewards: Tensor) -> Tensor:
    """Whether the rewards of each group differ: (N, G) -> (N,). GRPO, GSPO and RLOO learn nothing from equal ones.

    Compares the rewards themselves: the mean of equal floats is rounded and may differ from them.
    """
    return (rewards != rewards[:, :1]).any(dim=1)
