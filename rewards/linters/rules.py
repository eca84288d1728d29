"""The rules of Ruff that programs are checked against, a class for each, and the counts of findings for the log."""

from collections import Counter

from rewards.answer import Analysis

# Ruff's rules, named because its defaults change: style and simple bugs of short functions. Left out on purpose: I
# obeys comments of isort, D and ANN ask for more than the problems do, S repeats Bandit, PLR counts branches and
# constants, which the problems dictate, and W292 wants an empty last line, where a model ends with its end of sequence.
SELECT = ("E", "F", "W1", "W291", "W293", "W5", "W6", "B", "C4", "UP", "SIM", "RET", "PIE", "PLE", "PLW", "N", "A")

# Class -> prefixes of rules. The longest prefix that fits a rule decides. The table is ours, as Ruff has no grades.
CLASSES: dict[str, tuple[str, ...]] = {
    # It does not compile, or raises when the line is reached. F403, F405 and PLW0602 (`from x import *`, a `global`
    # that nothing binds) are here because they replace F821, an undefined name, and must not cost less.
    "error": (
        *("invalid-syntax", "E9", "F404", "F406", "F407", "F501", "F502", "F503", "F505", "F506", "F507", "F508"),
        *("F509", "F521", "F524", "F525", "F62", "F63", "F7", "F82", "F403", "F405", "PLE", "PLW0602"),
    ),
    # It runs, but is probably wrong: a mutable default, an unused variable, a path without a return value.
    "bug": ("F", "B", "E72", "W6", "PLW", "PIE794", "PIE796", "RET503", "SIM107", "SIM115", "SIM22"),
    # Taste, tidiness or names. B9 and four PLW rules are here because good code breaks them too.
    "style": ("E", "W", "N", "A", "I", "E721", "F401", "F541", "B9", "PLW0120", "PLW0603", "PLW1514", "PLW2901"),
    # It could be shorter.
    "simplify": ("C4", "SIM", "RET", "PIE", "UP"),
}


def class_of(rule: str) -> str:
    """The class of a rule. Example: "F821" is an "error", "F811" a "bug". ValueError for a rule not in the table.

    A prefix fits if only digits follow, as rules of other linters begin with the same letters: "A" fits A001, but not
    ANN001.
    """
    fits = [
        (len(prefix), name)
        for name, prefixes in CLASSES.items()
        for prefix in prefixes
        if rule.startswith(prefix) and (rule == prefix or rule[len(prefix) :].isdecimal())
    ]
    if not fits:
        raise ValueError(f"no class for the rule {rule!r}; add it to CLASSES in rewards/linters/rules.py")
    return max(fits)[1]


def count_findings(analysis: Analysis) -> dict[str, dict[str, int]]:
    """For the log: Ruff's findings by class, Bandit's by severity (zeros included) and by each weakness found.

    Example: {"style": {"error": 1, "bug": 0, "style": 2, "simplify": 0},
              "security": {"HIGH": 1, "MEDIUM": 0, "LOW": 0, "CWE-78": 1}}
    """
    style, security = Counter(dict.fromkeys(CLASSES, 0)), Counter(HIGH=0, MEDIUM=0, LOW=0)
    style.update(finding.severity for finding in analysis.style)
    security.update(finding.severity for finding in analysis.security)
    security.update(f"CWE-{finding.cwe}" for finding in analysis.security)
    return {"style": dict(style), "security": dict(security)}
