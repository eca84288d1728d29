"""The share of the tests that passed (arXiv 2605.02944, section 2). Not the goal: special cases pass some tests too."""

from rewards.answer import Answer, Value
from rewards.places import blame


def pass_rate(answer: Answer) -> Value:
    """k/T, in [0, 1]. The loss lies at the line to blame, if any."""
    return blame(answer, answer.outcome.passed / answer.outcome.total, most=1.0)
