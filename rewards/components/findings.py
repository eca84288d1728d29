"""What the components that look at findings share: whom they pay, and where they take the loss."""

from rewards.answer import Answer, Finding, Span, Value
from rewards.places import defines_entry_point, finding_range


def is_payable(answer: Answer, component: str) -> bool:
    """Whether there is a program to praise: it parses, was analysed, and defines what was asked.

    Without this an empty text, which has no findings, would be the best program of all. ValueError, in the name of the
    component, where nobody asked for an analysis.
    """
    if answer.analysis is None:
        raise ValueError(f"{component}: the program was not analysed")
    known = answer.parses and answer.analysis.parses and not answer.analysis.failed
    return known and defines_entry_point(answer)


def charge(answer: Answer, value: float, weights: list[tuple[Finding, float]]) -> Value:
    """A value below 1 whose loss lies at the findings, each charged by its weight. One without a place is not charged.

    Example: value 0.4 and weights 2 and 1: -0.4 at the first finding, -0.2 at the second.
    """
    total = sum(weight for _, weight in weights)
    spans = []
    for finding, weight in weights:
        place = finding_range(answer, finding)
        if weight and place is not None:
            spans.append(Span(*place, (value - 1.0) * weight / total))
    return Value(value, tuple(spans))
