"""Pass@k of a problem, the bootstrap interval of a mean, and two statistics of a pair of evaluations."""

import math
from collections.abc import Sequence

import numpy as np


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """Unbiased pass@k of one problem (Chen et al. 2021, "Evaluating Large Language Models Trained on Code", eq. 1).

    1 - C(n - c, k) / C(n, k): the chance that k of the n samples, drawn without replacement, hold a correct one.
    ValueError for k > n. Example: 1 correct of 2 samples is 0.5 for k = 1 and 1.0 for k = 2.
    """
    if not 1 <= k <= samples:
        raise ValueError(f"pass@{k} needs at least {k} samples a problem, there are {samples}")
    return 1.0 - math.comb(samples - correct, k) / math.comb(samples, k)


def bootstrap_interval(values: Sequence[float]) -> list[float]:
    """95 % percentile bootstrap of the mean over problems, 2,000 resamples, seeded: [low, high]."""
    array = np.asarray(values, dtype=float)
    rng = np.random.default_rng(0)
    means = array[rng.integers(0, len(array), (2000, len(array)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return [float(low), float(high)]


def paired_interval(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """95 % percentile bootstrap of mean(second) - mean(first): [low, high].

    A resample has both values of a problem, so problems that are easy or hard for both do not widen the interval.
    """
    return bootstrap_interval([b - a for a, b in zip(first, second, strict=True)])


def mcnemar(only_first: int, only_second: int) -> float:
    """p of McNemar's exact two-sided test (McNemar 1947; binomial in place of chi squared).

    The chance of counts at least as uneven if both are equally likely to solve a problem that only one solves.
    Example: mcnemar(0, 5) is 2 / 2^5 = 0.0625; mcnemar(3, 3) is 1.0.
    """
    count, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(count, i) for i in range(fewer + 1))
    return min(1.0, 2 * tail / 2**count)
