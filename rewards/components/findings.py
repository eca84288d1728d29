"""Shared by the components that look at findings: which programs they pay, and where they charge the loss."""

from collections.abc import Callable

from rewards.answer import Answer, Finding, Span, Value
from rewards.places import finding_range
from rewards.program import defines_entry_point


def is_payable(answer: Answer, component: str) -> bool:
    """Whether the program parses, has an analysis and defines the entry point: an empty text must not earn most.

    ValueError, with the component's name, if nobody asked for an analysis.
    """
    if answer.analysis is None:
        raise ValueError(f"{component}: the program was not analysed")
    known = answer.parses and answer.analysis.parses and not answer.analysis.failed
    return known and defines_entry_point(answer)


def charge(
    answer: Answer, findings: tuple[Finding, ...], weigh: Callable[[Finding], float], price: Callable[..., float]
) -> Value:
    """price(weights of the findings), at most 1; the loss lies at the findings with a place, by weight.

    Example: weights 2 and 1, price 0.4: -0.4 at the first finding, -0.2 at the second.
    """
    weights = [weigh(finding) for finding in findings]
    value, total = price(weights), sum(weights)
    spans = []
    for finding, weight in zip(findings, weights, strict=True):
        place = finding_range(answer, finding)
        if weight and place is not None:
            spans.append(Span(*place, (value - 1.0) * weight / total))
    return Value(value, tuple(spans))
