"""1 if the program stands in a fenced code block, opened and closed. Nothing else is asked of it, but to parse."""

from rewards.answer import Answer, Value


def format_reward(answer: Answer, *, unparsed: float = 0.0) -> Value:
    """0 or 1; `unparsed` for a block that does not parse, which is otherwise the cheapest way to be paid."""
    if not answer.fenced:
        return Value(0.0)
    return Value(1.0 if answer.parses else unparsed)
