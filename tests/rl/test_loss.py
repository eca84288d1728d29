"""The three normalisers and the clipped surrogate against plain loops."""

import math

import pytest
import torch

from rl.loss import NORMALIZERS, Totals, clipped_loss, normalize, row_mean
from rl.rollout import Batch


def plain(per_token, mask, normalizer, budget):
    """From the definitions, with Python floats and lists of unequal length."""
    rows = [[v for v, m in zip(vs, ms, strict=True) if m] for vs, ms in zip(per_token, mask, strict=True)]
    if normalizer == "sequence-mean":
        return sum(sum(row) / len(row) for row in rows if row) / len(rows)
    if normalizer == "token-mean":
        return sum(sum(row) for row in rows) / sum(len(row) for row in rows)
    return sum(sum(row) for row in rows) / (len(rows) * budget)


def random_batch(seed, rows=6, width=5):
    """Rows of every length, with garbage at the padding; the third row is masked out altogether."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, width, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, width + 1, (rows,), generator=generator)
    lengths[2] = 0
    mask = (torch.arange(width) < lengths[:, None]).double()
    return torch.where(mask.bool(), values, 1e6), mask, Totals(rows, int(mask.sum()), 9)


@pytest.mark.parametrize(("normalizer", "expected"), [("sequence-mean", 1.5), ("token-mean", 1.25), ("constant", 0.5)])
def test_the_example_of_the_docstring(normalizer, expected):
    """Two normalisers swapped: rows [2] and [1, 1, 1], a budget of 5."""
    values, mask = torch.tensor([[2.0, 8.0, 8.0], [1.0, 1.0, 1.0]]), torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    assert normalize(values, mask, Totals(2, 4, 5), normalizer).item() == expected


@pytest.mark.parametrize("normalizer", NORMALIZERS)
def test_equals_a_plain_loop(normalizer):
    """Padding counted, a row that is masked out dividing by zero, or such a row left out of the number of rows."""
    for seed in range(5):
        values, mask, totals = random_batch(seed)
        expected = plain(values.tolist(), mask.tolist(), normalizer, totals.budget)
        assert normalize(values, mask, totals, normalizer).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("normalizer", NORMALIZERS)
def test_microbatches_add_up(normalizer):
    """Counts taken from the microbatch in place of the optimizer step."""
    values, mask, totals = random_batch(0)
    whole = normalize(values, mask, totals, normalizer).item()
    parts = [normalize(values[i:j], mask[i:j], totals, normalizer).item() for i, j in ((0, 1), (1, 3), (3, 6))]
    assert whole == pytest.approx(sum(parts), rel=1e-12)


@pytest.mark.parametrize("normalizer", NORMALIZERS)
def test_a_masked_out_row_has_a_finite_zero_gradient(normalizer):
    """0 / 0 in the row's mean: the value may be repaired while the gradient is NaN."""
    values, mask, totals = random_batch(1)
    values.requires_grad_()
    normalize(values, mask, totals, normalizer).backward()
    assert (values.grad[mask == 0] == 0).all()
    assert (values.grad[mask == 1] > 0).all()


def test_unknown_normalizer_is_an_error():
    """A misspelled normaliser that silently becomes another one."""
    with pytest.raises(ValueError, match="loss-normalizer: unknown 'mean'.*sequence-mean"):
        normalize(torch.ones(1, 1), torch.ones(1, 1), Totals(1, 1, 1), "mean")


def test_row_mean_is_over_the_rows_own_tokens():
    """Padding in the sum or in the count, or NaN for a row that is masked out."""
    values, mask, _ = random_batch(2)
    found = row_mean(values, mask).tolist()
    for row, chosen, mean in zip(values.tolist(), mask.tolist(), found, strict=True):
        real = [value for value, one in zip(row, chosen, strict=True) if one]
        assert mean == pytest.approx(sum(real) / len(real) if real else 0.0, rel=1e-12)


@pytest.mark.parametrize("normalizer", NORMALIZERS)
def test_clipped_loss_equals_a_plain_loop(normalizer):
    """A clip of each normaliser's own, weights within the clip, or metrics that count padding and masked rows."""
    new, mask, totals = random_batch(3)
    new, old, advantages, weights = (
        0.6 * torch.randn(new.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        for seed in range(4)
    )
    table, low, high = [], 0, 0
    for i, t in torch.cartesian_prod(torch.arange(6), torch.arange(5)).tolist():
        ratio, advantage = math.exp((new - old)[i, t].item()), advantages[i, t].item()
        table.append(-weights[i, t].item() * min(ratio * advantage, min(max(ratio, 0.8), 1.3) * advantage))
        low += mask[i, t].item() * (ratio < 0.8 and advantage < 0)
        high += mask[i, t].item() * (ratio > 1.3 and advantage > 0)
    expected = plain(torch.tensor(table, dtype=torch.float64).view(6, 5).tolist(), mask.tolist(), normalizer, 9)
    data = Batch([], torch.ones_like(mask), mask, old, old, weights=weights, advantages=advantages)
    loss, metrics = clipped_loss(new, data, totals, 0.2, 0.3, normalizer)
    assert loss.item() == metrics["policy_loss"] == pytest.approx(expected, rel=1e-12)
    assert min(low, high) > 0
    shares = [metrics[f"clip_ratio/{name}_mean"] * totals.tokens for name in ("low", "high", "region")]
    assert shares == pytest.approx([low, high, low + high])
    torch.testing.assert_close(metrics["ratio"], (new - old).exp()[mask.bool()], rtol=1e-12, atol=0)
