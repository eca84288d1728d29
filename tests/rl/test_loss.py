"""The three normalisers against plain loops."""

import pytest
import torch

from rl.loss import NORMALIZERS, Totals, normalize


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
