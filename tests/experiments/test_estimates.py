"""Pass@k and intervals against enumeration and closed forms."""

import itertools

import pytest

from experiments.estimates import bootstrap_interval, pass_at_k


@pytest.mark.parametrize(("samples", "correct"), [(5, 0), (5, 1), (5, 3), (5, 5), (8, 2)])
def test_pass_at_k_equals_enumeration(samples, correct):
    """The biased estimator 1 - (1 - c/n)^k, or any() over the first k."""
    results = [1] * correct + [0] * (samples - correct)
    for k in range(1, samples + 1):
        subsets = list(itertools.combinations(results, k))
        exact = sum(any(subset) for subset in subsets) / len(subsets)
        assert pass_at_k(samples, correct, k) == pytest.approx(exact, abs=1e-12)


def test_pass_at_k_refuses_more_than_there_is():
    """pass@16 quietly computed from 8 samples."""
    with pytest.raises(ValueError, match="pass@16 needs at least 16"):
        pass_at_k(8, 3, 16)


def test_bootstrap_interval_of_a_proportion():
    """Bounds swapped, of a wrong level, or a resampling of the wrong axis: the normal approximation is the oracle."""
    values = [1.0] * 120 + [0.0] * 280
    low, high = bootstrap_interval(values)
    half = 1.96 * (0.3 * 0.7 / 400) ** 0.5
    assert low == pytest.approx(0.3 - half, abs=0.006)
    assert high == pytest.approx(0.3 + half, abs=0.006)
    assert bootstrap_interval(values) == [low, high]  # seeded
    assert bootstrap_interval([0.5] * 10) == [0.5, 0.5]
