"""Pass@k, intervals, and the two of a pair."""

import math
from collections.abc import Sequence

import numpy as np


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """Unbiased pass@k of one problem (Chen et al. 2021, "Evaluating Large Language Models Trained on Code", eq. 1).

    1 - C(n - c, k) / C(n, k): the chance that k of the n samples, drawn without replacement, hold a correct one.
    ValueError for k > n.

    Example: 1 correct of 2 samples is 0.5 for k = 1 and 1.0 for k = 2.
    """
    if not 1 <= k <= samples:
        raise ValueError(f"pass@{k} needs at least {k} samples a problem, there are {samples}")
    if samples - correct < k:
        return 1.0
    # The product form: the binomials themselves overflow a float.
    return 1.0 - float(np.prod(1.0 - k / np.arange(samples - correct + 1, samples + 1)))


def bootstrap_interval(values: Sequence[float], seed: int = 0, resamples: int = 2000) -> list[float]:
    """95 % percentile bootstrap of the mean, over problems: [low, high]."""
    array = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    means = array[rng.integers(0, len(array), (resamples, len(array)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return [float(low), float(high)]


def paired_interval(
    first: Sequence[float], second: Sequence[float], seed: int = 0, resamples: int = 2000
) -> list[float]:
    """95 % percentile bootstrap of mean(second) - mean(first), over problems that both were asked: [low, high].

    A problem is drawn with both its values, so what makes it easy or hard for both does not widen the interval.
    """
    return bootstrap_interval([b - a for a, b in zip(first, second, strict=True)], seed, resamples)


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact test, two-sided: how likely are counts as uneven as these, or more, if each problem that just one
    of two solves were as likely solved by either (McNemar 1947; exact: the binomial in place of chi squared).

    Example: mcnemar(0, 5) is 2 / 2^5 = 0.0625; mcnemar(3, 3) is 1.0.
    """
    count, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(count, i) for i in range(fewer + 1))
    return min(1.0, 2 * tail / 2**count)
