"""1 if the program compiles, else 0: the least that can be asked. `pass` earns it; of use as a term or a gate."""

from rewards.answer import Answer, Value
from rewards.places import blame


def syntax(answer: Answer) -> Value:
    """0 or 1. The loss lies at the line where the parser gave up."""
    return blame(answer, 1.0 if answer.parses else 0.0, most=1.0)
