"""1 if the program stands in a fenced code block, opened and closed, and parses."""

from rewards.answer import Answer, Value


def format_reward(answer: Answer, *, unparsed: float = 0.0) -> Value:
    """0 or 1; `unparsed` for a closed block that does not parse, because any text can be fenced."""
    if not answer.fenced:
        return Value(0.0)
    return Value(1.0 if answer.parses else unparsed)
