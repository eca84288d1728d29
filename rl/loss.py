"""What losses share: the clipped surrogate of PPO, which GRPO took over, and what a loss divides by."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rl.rollout import Batch

NORMALIZERS = ("sequence-mean", "token-mean", "constant")


@dataclass(frozen=True)
class Totals:
    """Counts over a whole optimizer step, taken before microbatching."""

    rows: int  # rollouts, with those that have no gradient
    tokens: int  # tokens that the loss counts
    budget: int  # tokens that a completion may have


def normalize(per_token: Tensor, mask: Tensor, totals: Totals, normalizer: str) -> Tensor:
    """The rows' share of the step's loss, a scalar: per_token and mask are (b, T), of one microbatch.

    sequence-mean   mean over a row's tokens, then over rows (GRPO): a token of a long row weighs less
    token-mean      mean over all tokens of the step (DAPO, arXiv 2503.14476, eq. 12): a long row weighs more
    constant        sum / (rows x budget) (Dr. GRPO, arXiv 2503.20783): no weight depends on a length

    Example: rows [2] and [1, 1, 1] give 1.5, 1.25 and, with a budget of 5, 0.5.
    """
    if normalizer == "sequence-mean":
        return (row_mean(per_token, mask)).sum() / totals.rows
    if normalizer == "token-mean":
        return (per_token * mask).sum() / totals.tokens
    if normalizer == "constant":
        return (per_token * mask).sum() / (totals.rows * totals.budget)
    raise ValueError(f"loss-normalizer: unknown {normalizer!r}; there are {', '.join(NORMALIZERS)}")


def row_mean(per_token: Tensor, mask: Tensor) -> Tensor:
    """Mean over each row's tokens: (b, T) -> (b,). A row that is masked out has 0."""
    lengths = mask.sum(dim=1)  # (b,)
    return (per_token * mask).sum(dim=1) / lengths.where(lengths > 0, 1)


def clipped_loss(
    log_probs: Tensor, batch: Batch, totals: Totals, low: float, high: float, normalizer: str
) -> tuple[Tensor, dict]:
    """L = mean max( -r_it A_it, -clip(r_it, 1 - low, 1 + high) A_it ) and metrics (Schulman et al. 2017, eq. 7).

    r_it = pi(o_it | ..) / pi_old(o_it | ..). log_probs (b, T) carry the gradient. The value is the rows' share of the
    optimizer step's mean.
    """
    advantages, mask = batch.advantages, batch.loss_mask
    ratio = torch.exp(log_probs - batch.old_log_probs)  # r_it, (b, T)
    clipped = ratio.clamp(1 - low, 1 + high)
    per_token = -torch.minimum(ratio * advantages, clipped * advantages)  # (b, T)
    if batch.weights is not None:
        per_token = per_token * batch.weights
    loss = normalize(per_token, mask, totals, normalizer)
    too_low = (ratio < 1 - low) & (advantages < 0) & mask.bool()  # the clip has cut the gradient
    too_high = (ratio > 1 + high) & (advantages > 0) & mask.bool()
    return loss, {
        "policy_loss": float(loss.detach()),
        "clip_ratio/low_mean": float(too_low.sum()) / totals.tokens,
        "clip_ratio/high_mean": float(too_high.sum()) / totals.tokens,
        "clip_ratio/region_mean": float((too_low | too_high).sum()) / totals.tokens,
        "ratio": ratio[mask.bool()],
    }
