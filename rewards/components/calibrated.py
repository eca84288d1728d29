"""Density-calibrated partial credit (VeRPO, arXiv 2601.03525): hard tests weigh more, groups of similar tests less.

With rho_j the share of the group's answers that pass test j, the weight of a test is

    w_j = exp(-alpha rho_j) / (N(rho_j) + delta),    N(rho) = sum_i exp(-(rho_i - rho)^2 / (2 h^2))

N counts the tests of similar difficulty: ten equally easy tests weigh no more than one. Ours: bandwidth h and delta, as
the paper gives alpha only; and the division by sum_j w_j. The paper adds a binary outcome: `binary + calibrated`.
"""

import math

from rewards.answer import Answer, Value
from rewards.places import blame
from sandbox import Outcome


def calibrated(
    answer: Answer, *, alpha: float = 2.0, bandwidth: float = 0.1, delta: float = 0.01, density: int = 1
) -> Value:
    """sum_j w_j [test j passed] / sum_j w_j, in [0, 1]. With density=0 the weight is exp(-alpha rho_j) alone.

    ValueError for an answer without `peers`, as no pass rate is known then.
    """
    if not answer.peers:
        raise ValueError("calibrated: needs the outcomes of the answer's whole group")
    weights = test_weights(answer.peers, alpha, bandwidth, delta, density)
    earned = sum(w for w, test in zip(weights, answer.outcome.tests, strict=True) if test.word == "passed")
    return blame(answer, earned / sum(weights), most=1.0)


def test_weights(peers: tuple[Outcome, ...], alpha: float, bandwidth: float, delta: float, density: int) -> list[float]:
    """w_j of each test. Example: alpha 0, tests passed by 0, 1 and 1 of one answer: 1 / 1.01, 1 / 2.01, 1 / 2.01."""
    tests_of_all = zip(*(peer.tests for peer in peers), strict=True)
    rates = [sum(test.word == "passed" for test in tests) / len(peers) for tests in tests_of_all]
    return [
        math.exp(-alpha * rate)
        / (sum(math.exp(-(((other - rate) / bandwidth) ** 2) / 2) for other in rates) + delta if density else 1.0)
        for rate in rates
    ]
