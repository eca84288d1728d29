"""What a loss divides by: three conventions of the field, of one optimizer step, whatever its microbatches."""

from dataclasses import dataclass

from torch import Tensor

NORMALIZERS = ("sequence-mean", "token-mean", "constant")


@dataclass(frozen=True)
class Totals:
    """Counts over a whole optimizer step, taken before microbatching."""

    rows: int  # rollouts, those without a gradient included
    tokens: int  # tokens that the loss counts
    budget: int  # tokens that a completion may have


def normalize(per_token: Tensor, mask: Tensor, totals: Totals, normalizer: str) -> Tensor:
    """The rows' share of the step's loss, a scalar: per_token and mask are (b, T), of one microbatch.

    sequence-mean   mean over a row's tokens, then over rows (GRPO, GSPO): a token of a long row weighs less
    token-mean      mean over all tokens of the step (DAPO, arXiv 2503.14476, eq. 12): a long row weighs more
    constant        sum / (rows x budget) (Dr. GRPO, arXiv 2503.20783): no weight depends on a length

    Example: rows [2] and [1, 1, 1] give 1.5, 1.25 and, with a budget of 5, 0.5.
    """
    if normalizer == "sequence-mean":
        lengths = mask.sum(dim=1)  # (b,), 0 for a row that is masked out: such a row counts as 0 in the mean
        return ((per_token * mask).sum(dim=1) / lengths.where(lengths > 0, 1)).sum() / totals.rows
    if normalizer == "token-mean":
        return (per_token * mask).sum() / totals.tokens
    if normalizer == "constant":
        return (per_token * mask).sum() / (totals.rows * totals.budget)
    raise ValueError(f"loss-normalizer: unknown {normalizer!r}; there are {', '.join(NORMALIZERS)}")
