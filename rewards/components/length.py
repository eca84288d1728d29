"""Soft overlong punishment (DAPO, arXiv 2503.14476, eq. 13): completions near the token budget lose up to 1."""

from rewards.answer import Answer, Value


def length(answer: Answer, *, buffer: int = 20) -> Value:
    """In [-1, 0]: 0 up to budget - buffer tokens, then a line down to -1 at the budget.

    Example: with budget 72 and buffer 20, 52 tokens earn 0, 62 earn -0.5, 72 earn -1. ValueError for a buffer below 1
    or above the budget.
    """
    if not 1 <= buffer <= answer.budget:
        raise ValueError(f"length: buffer {buffer}: needs 1 to {answer.budget}, the token budget")
    return Value(min(0.0, (answer.budget - buffer - answer.tokens) / buffer))
