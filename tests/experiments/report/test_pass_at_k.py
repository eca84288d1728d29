"""Pass@k and intervals against enumeration and closed forms."""

import itertools
import random

import pytest

from experiments.report.pass_at_k import bootstrap_interval, mcnemar, paired_interval, pass_at_k


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


def test_paired_interval_equals_a_plain_loop_over_pairs():
    """Both sides resampled apart, which is wider by half here, or A - B in place of B - A."""
    rng = random.Random(5)
    first = [float(rng.random() < 0.5) for _ in range(60)]
    second = [1.0 if rng.random() < 0.2 else value for value in first]
    means = []
    for _ in range(4000):
        drawn = [rng.randrange(60) for _ in range(60)]
        means.append(sum(second[i] for i in drawn) / 60 - sum(first[i] for i in drawn) / 60)
    means.sort()
    assert paired_interval(first, second) == pytest.approx([means[100], means[3899]], abs=0.012)
    assert paired_interval(second, first) == pytest.approx([-means[3899], -means[100]], abs=0.012)
    apart = bootstrap_interval(second)[1] - bootstrap_interval(first)[0]
    assert apart > means[3899] + 0.03  # what resampling apart would come near


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 5), (5, 0), (2, 7), (3, 3), (4, 5), (0, 1), (0, 0)])
def test_mcnemar_equals_enumeration(only_first, only_second):
    """One tail in place of two, a normal approximation, a p value above 1, or a division by no problem at all."""
    count = only_first + only_second
    uneven = abs(only_first - only_second)
    outcomes = list(itertools.product((1, -1), repeat=count))  # each discordant problem falls to either, as likely
    exact = sum(abs(sum(outcome)) >= uneven for outcome in outcomes) / len(outcomes)
    assert mcnemar(only_first, only_second) == pytest.approx(exact, abs=1e-15)


def test_mcnemar_of_many_problems():
    """An overflow of the binomials; the normal approximation is the oracle."""
    assert mcnemar(450, 530) == pytest.approx(0.0116, abs=0.0005)  # z = (80 - 1) / sqrt(980) = 2.524
