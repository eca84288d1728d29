"""1 if every test passed, else 0. `unit-test` of arXiv 2605.30478."""

from rewards.answer import Answer, Value
from rewards.places import blame


def binary(answer: Answer) -> Value:
    """0 or 1. A failed program's loss lies at the line to blame, if any."""
    return blame(answer, 1.0 if answer.passed else 0.0, most=1.0)
