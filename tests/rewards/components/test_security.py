"""The security terms: three formulas, the weights of weaknesses, whom they pay and where they charge."""

import dataclasses
import itertools
import math

import pytest
from bandit.core.issue import Cwe

from rewards.answer import Analysis, Answer, Finding
from rewards.components.security import (
    CONFIDENCES,
    WEAKNESSES,
    cwe_weight,
    security,
    security_cwe,
    security_exp,
    staged_value,
)
from sandbox import Outcome, Stage

ALL = [security, security_exp, security_cwe]
PROGRAM = "import os\nimport pickle\ndef f(x):\n    os.system(x)\n    return pickle.loads(x)\n"


def finding(severity, confidence="HIGH", cwe=78, line=4, column=4, end_column=16):
    return Finding("B605", line, column, line, end_column, severity, "", confidence, cwe)


HIGH, LOW = finding("HIGH"), finding("LOW", cwe=502, line=2, column=0, end_column=13)
MEDIUM = finding("MEDIUM", "LOW", cwe=502, line=5, column=11, end_column=26)


def answer(*findings, stage=Stage.PASSED, text=PROGRAM, start=0, **analysis):
    """An answer of which only the findings and the text matter."""
    values = {field.name: None for field in dataclasses.fields(Outcome)}
    outcome = Outcome(**values | {"stage": stage, "passed": 0, "total": 1, "tests": ()})
    said = Analysis(**{"parses": True, "security": findings} | analysis)
    return Answer(text, (start, len(text)), outcome, entry_point="f", analysis=said)


@pytest.mark.parametrize(
    ("findings", "linear", "exponential"),
    [
        ((), 1.0, 1.0),
        ((LOW, LOW), 1.0, 1.0),
        ((MEDIUM,), 0.5, math.exp(-0.5)),
        ((HIGH,), 0.0, math.exp(-1.0)),
        ((HIGH, MEDIUM, LOW), 0.0, math.exp(-1.5)),
    ],
)
def test_papers_formulas(findings, linear, exponential):
    """A wrong weight per severity, LOW counted by default, or a sum that is not cut at 1."""
    assert security(answer(*findings)).value == pytest.approx(linear)
    assert security_exp(answer(*findings)).value == pytest.approx(exponential)


def test_low_counts_when_asked():
    """An option that is ignored; or one beyond [0, 1], which makes LOW worse than HIGH or worth having."""
    assert security(answer(LOW, LOW), low=0.1).value == pytest.approx(0.8)
    assert security_exp(answer(LOW), low=0.1).value == pytest.approx(math.exp(-0.1))
    assert security_cwe(answer(LOW), low=0.1).value == pytest.approx(1 - 0.95 * 0.1 / 2)
    for component, low in itertools.product(ALL, (-0.1, 1.1, math.nan)):
        with pytest.raises(ValueError, match="low"):
            component(answer(), low=low)


def test_cwe_formula():
    """Severity, confidence or the weakness left out of the weight, or the worst finding not taken first."""
    assert cwe_weight(HIGH) == pytest.approx(1.0 * 1.0 * 1.0)
    assert cwe_weight(MEDIUM) == pytest.approx(0.95 * 0.5 * 0.3)
    for findings in ((HIGH, MEDIUM), (MEDIUM, HIGH)):
        assert security_cwe(answer(*findings)).value == pytest.approx(1 - 1.0 / 2 - 0.1425 / 4)
    assert security_cwe(answer()).value == security_cwe(answer(LOW)).value == 1.0


def test_the_worst_finding_pays_most_and_each_pays_something():
    """Staged credit that is none: a removal that pays nothing, or one that pays more than that of a worse finding.

    All multisets of up to 5 findings with 6 different weights; many are equal, which is where formulas slip.
    """
    weights = (1.0, 0.95, 0.6, 0.475, 0.09, 0.045)
    for size in range(1, 6):
        for held in itertools.combinations_with_replacement(weights, size):
            value = staged_value(list(held))
            assert 0 < value < 1
            assert 1 - held[0] < value <= 1 - held[0] / 2  # the worst decides, whatever else is there
            gains = [staged_value([*held[:k], *held[k + 1 :]]) - value for k in range(size)]
            assert all(gain > 0 for gain in gains)
            for k in range(size - 1):
                assert gains[k] >= gains[k + 1] - 1e-12
                if held[k] > held[k + 1]:
                    assert gains[k] > gains[k + 1]


def test_every_weakness_of_bandit_has_a_weight():
    """A Bandit that can report a CWE which the table lacks: the first program with it would end the run."""
    reported = {number for number in vars(Cwe).values() if isinstance(number, int)} - {Cwe.NOTSET}
    assert set(WEAKNESSES) == reported
    assert all(0 < weight <= 1 for weight in WEAKNESSES.values())
    assert set(CONFIDENCES) == {"LOW", "MEDIUM", "HIGH"}


@pytest.mark.parametrize(
    "odd", [finding("HIGH", cwe=0), finding("HIGH", cwe=1), finding("HIGH", "UNDEFINED"), finding("UNDEFINED")]
)
def test_unknown_grades_are_errors(odd):
    """A finding that weighs nothing because the table does not know it."""
    with pytest.raises(ValueError, match="security: .*(CWE-|confidence|severity)"):
        security_cwe(answer(odd))
    if odd.severity == "UNDEFINED":
        with pytest.raises(ValueError, match="severity"):
            security(answer(odd))


@pytest.mark.parametrize("component", ALL)
@pytest.mark.parametrize(
    "unpaid",
    [
        answer(stage=Stage.SYNTAX_ERROR),
        answer(parses=False),
        answer(failed="too large"),
        answer(text=""),
        answer(text="# safe\n"),
        answer(text="f\n"),
    ],
    ids=["sandbox", "parser", "failed", "empty", "comment", "no definition"],
)
def test_garbage_is_not_secure(component, unpaid):
    """The published flaw: nothing is found in what does not parse, and that pays 1."""
    assert component(unpaid).value == 0.0
    assert component(unpaid, unparsed=1.0).value == 1.0  # as published


@pytest.mark.parametrize("component", ALL)
def test_program_that_nobody_analysed_is_an_error(component):
    """A program without an analysis taken for a safe one."""
    with pytest.raises(ValueError, match=f"{component.__name__}: the program was not analysed"):
        component(dataclasses.replace(answer(), analysis=None))


@pytest.mark.parametrize(("component", "times"), [(security, 2), (security_exp, 2), (security_cwe, 1 / 0.1425)])
def test_loss_lies_at_the_findings_by_weight(component, times):
    """A loss charged to the wrong line, split evenly, taken beyond the floor, or a LOW finding charged for nothing."""
    text = "# preface\n" + PROGRAM
    value = component(answer(MEDIUM, LOW, HIGH, text=text, start=10))
    assert [text[span.start : span.end] for span in value.spans] == ["pickle.loads(x)", "os.system(x)"]
    assert value.spans[1].value / value.spans[0].value == pytest.approx(times)
    assert value.rest == pytest.approx(1.0)
