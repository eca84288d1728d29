"""Style: what Ruff finds, weighed by a table of our own, as Ruff grades nothing (its severity is always "error").

Used as in Skopin and Kotelnikov (arXiv 2605.30478), who reward few findings alone and under a gate of unit tests. Their
weights and their formula are not published; table, formula and normaliser are ours.

The normaliser is a constant, never the length of the program: a share of findings per line is bought with empty lines.
Not covered: what Ruff cannot see. A name that is only defined under `if False:` is not undefined, an import that stands
in `__all__` not unused. And alone the term is bought with a function that does nothing: hence the gate of unit tests.
"""

import math

from rewards.answer import Answer, Finding, Value
from rewards.components.findings import charge, is_payable

# Class -> (weight of a finding, prefixes of rules). The longest prefix that fits a rule decides.
CLASSES: dict[str, tuple[float, tuple[str, ...]]] = {
    # It does not compile, or raises when the line is reached. F403, F405 and PLW0602 (`from x import *`, a `global`
    # that nothing binds) are here because they take the place of F821, an undefined name, and must not cost less.
    "error": (
        1.0,
        (
            *("invalid-syntax", "E9", "F404", "F406", "F407", "F501", "F502", "F503", "F505", "F506", "F507", "F508"),
            *("F509", "F521", "F524", "F525", "F62", "F63", "F7", "F82", "F403", "F405", "PLE", "PLW0602"),
        ),
    ),
    # It runs, but hardly does what was meant: a mutable default, an unused variable, a path without a return value.
    "bug": (0.5, ("F", "B", "E72", "W6", "PLW", "PIE794", "PIE796", "RET503", "SIM107", "SIM115", "SIM22")),
    # A matter of taste or of tidiness, or of names. B9 and four of PLW are here: good code does these, too.
    "style": (
        0.25,
        ("E", "W", "N", "A", "I", "E721", "F401", "F541", "B9", "PLW0120", "PLW0603", "PLW1514", "PLW2901"),
    ),
    # The same can be said shorter.
    "simplify": (0.1, ("C4", "SIM", "RET", "PIE", "UP")),
}


def style(answer: Answer, *, normaliser: float = 2.0, unparsed: float = 0.0) -> Value:
    """exp(-W / normaliser), in (0, 1], with W the summed weights of the findings; 1 where nothing is found.

    A program that does not parse, could not be analysed or does not define what was asked is paid `unparsed`.
    Example: one undefined name (1.0) and one `else` after a return (0.1) are exp(-1.1 / 2) = 0.577. The loss lies at
    the findings, by weight. ValueError where the program was not analysed, or for a normaliser that is not above 0.
    """
    _check(normaliser)
    if not is_payable(answer, "style"):
        return Value(unparsed)
    return _charged(answer, math.exp(-weighted(answer.analysis.style) / normaliser))


def style_linear(answer: Answer, *, normaliser: float = 4.0, unparsed: float = 0.0) -> Value:
    """1 - W / normaliser, but 0 from W = normaliser on: in [0, 1]. All else as `style`.

    At the floor one finding less pays nothing; `style` has no floor.
    """
    _check(normaliser)
    if not is_payable(answer, "style_linear"):
        return Value(unparsed)
    return _charged(answer, max(0.0, 1.0 - weighted(answer.analysis.style) / normaliser))


def severity_of(rule: str) -> str:
    """The class of a rule. Example: "F821" is an "error", "F811" a "bug". ValueError for a rule not in the table.

    A prefix fits when only digits follow, as other linters' rules begin alike: "A" is A001, but not ANN001.
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
    """How many findings each class has, for the log: {"error": 1, "bug": 0, "style": 2, "simplify": 0}."""
    classes = [severity_of(finding.rule) for finding in findings]
    return {name: classes.count(name) for name in CLASSES}


def _weight(finding: Finding) -> float:
    return CLASSES[severity_of(finding.rule)][0]


def _charged(answer: Answer, value: float) -> Value:
    return charge(answer, value, [(finding, _weight(finding)) for finding in answer.analysis.style])


def _check(normaliser: float) -> None:
    if not normaliser > 0:
        raise ValueError(f"style: normaliser {normaliser}: must be above 0")
