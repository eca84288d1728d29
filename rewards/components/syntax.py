"""1 if the program compiles, else 0. `pass` earns it too, so it is useful only as a term or a gate."""

from rewards.answer import Answer, Value
from rewards.places import blame


def syntax(answer: Answer) -> Value:
    """0 or 1. The loss lies at the line of the syntax error."""
    return blame(answer, 1.0 if answer.parses else 0.0, most=1.0)
