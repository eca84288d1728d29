"""The share of the tests that passed (arXiv 2605.02944, section 2): denser than `binary`, and not the same wish.

A program that passes 9 of 10 tests may be nine steps towards the right one, or a special case that leads away from it.
"""

from rewards.answer import Answer, Value
from rewards.places import blame


def pass_rate(answer: Answer) -> Value:
    """k/T, in [0, 1]. What is lacking lies at the failing line, where one is to blame."""
    return blame(answer, answer.outcome.passed / answer.outcome.total, most=1.0)
