"""Style: what Ruff finds, weighted by class (rewards/linters/rules.py).

Skopin and Kotelnikov (arXiv 2605.30478) reward few findings, alone and under a gate of unit tests, but publish neither
weights nor formula; these are ours. The normaliser is a constant: empty lines would lower findings per line.

Not covered: what Ruff does not see (a name that is only defined under `if False:` counts as defined). Alone, the term
pays a function that does nothing: so use it under a gate of unit tests.
"""

import math

from rewards.answer import Answer, Finding, Value
from rewards.components.findings import charge, is_payable

WEIGHTS = {"error": 1.0, "bug": 0.5, "style": 0.25, "simplify": 0.1}  # of a finding, by its class


def style(answer: Answer, *, normaliser: float = 2.0, unparsed: float = 0.0) -> Value:
    """exp(-W / normaliser), in (0, 1], with W the summed weights of the findings.

    A program that does not parse, was not analysed or does not define the entry point earns `unparsed`. The loss lies
    at the findings, by weight. Example: one undefined name (1.0) and one `else` after a return (0.1) earn
    exp(-1.1 / 2) = 0.577. ValueError for an answer without analysis, or for a normaliser that is not above 0.
    """
    _check(normaliser)
    if not is_payable(answer, "style"):
        return Value(unparsed)
    return charge(answer, answer.analysis.style, _weight, lambda weights: math.exp(-sum(weights) / normaliser))


def style_linear(answer: Answer, *, normaliser: float = 4.0, unparsed: float = 0.0) -> Value:
    """max(0, 1 - W / normaliser), in [0, 1]. At 0 the removal of a finding pays nothing. Otherwise like `style`."""
    _check(normaliser)
    if not is_payable(answer, "style_linear"):
        return Value(unparsed)
    return charge(answer, answer.analysis.style, _weight, lambda weights: max(0.0, 1.0 - sum(weights) / normaliser))


def _weight(finding: Finding) -> float:
    return WEIGHTS[finding.severity]


def _check(normaliser: float) -> None:
    if not normaliser > 0:
        raise ValueError(f"style: normaliser {normaliser}: must be above 0")
