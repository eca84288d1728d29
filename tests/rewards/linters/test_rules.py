"""The table of Ruff's rules, their classes, and the counts for the log."""

import json
import re
import subprocess
import sys

import pytest

from rewards.answer import Analysis, Finding
from rewards.linters.rules import CLASSES, SELECT, class_of, count_findings

ERROR, STYLE = (Finding(rule, 1, 0, 1, 1, class_of(rule), "") for rule in ("F821", "F401"))
HIGH, MEDIUM, LOW = (
    Finding("B1", 1, 0, 1, 1, severity, "", "HIGH", cwe)
    for severity, cwe in (("HIGH", 78), ("MEDIUM", 502), ("LOW", 502))
)


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        *[("invalid-syntax", "error"), ("E999", "error"), ("F821", "error"), ("F632", "error"), ("PLE0101", "error")],
        *[("F811", "bug"), ("F841", "bug"), ("B006", "bug"), ("E722", "bug"), ("PLW0127", "bug"), ("RET503", "bug")],
        *[("E501", "style"), ("F401", "style"), ("W291", "style"), ("N802", "style"), ("B905", "style")],
        *[("C408", "simplify"), ("SIM103", "simplify"), ("RET505", "simplify"), ("UP006", "simplify")],
    ],
)
def test_longest_prefix_wins(rule, name):
    """A special rule (F821, an undefined name) swallowed by the shorter prefix of its linter (F, where F401 is)."""
    assert class_of(rule) == name


@pytest.mark.parametrize("rule", ["ANN001", "EM101", "FBT003", "NPY001", "X1", "F8x1", ""])
def test_unknown_rule_is_an_error(rule):
    """A rule of another linter that begins alike (A, ANN), or of a new Ruff, weighed by chance."""
    with pytest.raises(ValueError, match="no class for the rule"):
        class_of(rule)


def test_every_rule_that_can_be_selected_has_a_class():
    """A selected rule without a class: the first program that breaks it would end the run."""
    command = [sys.executable, "-m", "ruff", "rule", "--all", "--output-format", "json"]
    codes = [rule["code"] for rule in json.loads(subprocess.run(command, capture_output=True, check=True).stdout)]
    selected = [code for code in codes if code and any(re.fullmatch(rf"{prefix}\d+", code) for prefix in SELECT)]
    assert len(selected) > 200
    assert {class_of(code) for code in selected} == set(CLASSES)


def test_no_prefix_stands_in_two_classes():
    """The same prefix in two classes: which one counts would hang on the order of the table."""
    prefixes = [prefix for some in CLASSES.values() for prefix in some]
    assert len(prefixes) == len(set(prefixes))


def test_counts_name_every_class_and_severity():
    """A class or severity without findings that is missing from the log, so that its curve has holes; findings counted
    once per CWE; an order of the record that depends on the findings."""
    counts = count_findings(Analysis(True, style=(STYLE, ERROR, ERROR), security=(LOW, HIGH, MEDIUM, LOW)))
    assert counts["style"] == {"error": 2, "bug": 0, "style": 1, "simplify": 0}
    assert counts["security"] == {"HIGH": 1, "MEDIUM": 1, "LOW": 2, "CWE-78": 1, "CWE-502": 3}
    assert [list(part) for part in counts.values()] == [list(CLASSES), ["HIGH", "MEDIUM", "LOW", "CWE-502", "CWE-78"]]
    assert count_findings(Analysis(True)) == {
        "style": dict.fromkeys(CLASSES, 0),
        "security": {"HIGH": 0, "MEDIUM": 0, "LOW": 0},
    }
