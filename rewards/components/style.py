"""Style: what Ruff finds, weighted by a table of our own, as Ruff has no grades.

Skopin and Kotelnikov (arXiv 2605.30478) reward few findings, alone and under a gate of unit tests. They publish neither
weights nor formula; table, formula and normaliser are ours.

The normaliser is a constant, not the length of the program: empty lines would lower a share of findings per line.
Not covered: what Ruff does not see. A name that is only defined under `if False:` counts as defined, and an import in
`__all__` as used. Alone, the term pays a function that does nothing: so use it under a gate of unit tests.
"""

import math
from collections.abc import Callable

from rewards.answer import Answer, Finding, Value
from rewards.components.findings import charge, is_payable

# Class -> (weight of a finding, prefixes of rules). The longest prefix that fits a rule decides.
CLASSES: dict[str, tuple[float, tuple[str, ...]]] = {
    # It does not compile, or raises when the line is reached. F403, F405 and PLW0602 (`from x import *`, a `global`
    # that nothing binds) are here because they replace F821, an undefined name, and must not cost less.
    "error": (
        1.0,
        (
            *("invalid-syntax", "E9", "F404", "F406", "F407", "F501", "F502", "F503", "F505", "F506", "F507", "F508"),
            *("F509", "F521", "F524", "F525", "F62", "F63", "F7", "F82", "F403", "F405", "PLE", "PLW0602"),
        ),
    ),
    # It runs, but is probably wrong: a mutable default, an unused variable, a path without a return value.
    "bug": (0.5, ("F", "B", "E72", "W6", "PLW", "PIE794", "PIE796", "RET503", "SIM107", "SIM115", "SIM22")),
    # Taste, tidiness or names. B9 and four PLW rules are here because good code breaks them too.
    "style": (
        0.25,
        ("E", "W", "N", "A", "I", "E721", "F401", "F541", "B9", "PLW0120", "PLW0603", "PLW1514", "PLW2901"),
    ),
    # It could be shorter.
    "simplify": (0.1, ("C4", "SIM", "RET", "PIE", "UP")),
}


def style(answer: Answer, *, normaliser: float = 2.0, unparsed: float = 0.0) -> Value:
    """exp(-W / normaliser), in (0, 1], with W the summed weights of the findings.

    A program that does not parse, was not analysed or does not define the entry point earns `unparsed`. The loss lies
    at the findings, by weight. Example: one undefined name (1.0) and one `else` after a return (0.1) earn
    exp(-1.1 / 2) = 0.577. ValueError for an answer without analysis, or for a normaliser that is not above 0.
    """
    return _by_weight(answer, "style", lambda w: math.exp(-w / normaliser), normaliser, unparsed)


def style_linear(answer: Answer, *, normaliser: float = 4.0, unparsed: float = 0.0) -> Value:
    """max(0, 1 - W / normaliser), in [0, 1]. Otherwise like `style`.

    At 0 the removal of a finding pays nothing; `style` always pays it.
    """
    return _by_weight(answer, "style_linear", lambda w: max(0.0, 1.0 - w / normaliser), normaliser, unparsed)


def severity_of(rule: str) -> str:
    """The class of a rule. Example: "F821" is an "error", "F811" a "bug". ValueError for a rule not in the table.

    A prefix fits if only digits follow, as rules of other linters begin with the same letters: "A" fits A001, but not
    ANN001.
    """
    fits = [
        (len(prefix), name)
        for name, (_, prefixes) in CLASSES.items()
        for prefix in prefixes
        if rule.startswith(prefix) and (rule == prefix or rule[len(prefix) :].isdecimal())
    ]
    if not fits:
        raise ValueError(f"style: no class for the rule {rule!r}; add it to CLASSES in rewards/components/style.py")
    return max(fits)[1]


def weighted(findings: tuple[Finding, ...]) -> float:
    """W, the sum of the findings' weights; at least 0."""
    return sum(_weight(finding) for finding in findings)


def profile(findings: tuple[Finding, ...]) -> dict[str, int]:
    """The number of findings of each class, for the log: {"error": 1, "bug": 0, "style": 2, "simplify": 0}."""
    classes = [severity_of(finding.rule) for finding in findings]
    return {name: classes.count(name) for name in CLASSES}


def _weight(finding: Finding) -> float:
    return CLASSES[severity_of(finding.rule)][0]


def _by_weight(
    answer: Answer, component: str, price: Callable[[float], float], normaliser: float, unparsed: float
) -> Value:
    if not normaliser > 0:
        raise ValueError(f"style: normaliser {normaliser}: must be above 0")
    if not is_payable(answer, component):
        return Value(unparsed)
    weights = [(finding, _weight(finding)) for finding in answer.analysis.style]
    return charge(answer, price(sum(weight for _, weight in weights)), weights)
