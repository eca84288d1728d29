"""The style term: our table of severities, the two formulas, whom they pay and where they charge."""

import dataclasses
import math

import pytest

from rewards.answer import Analysis, Answer, Finding
from rewards.components.style import WEIGHTS, style, style_linear
from rewards.linters.rules import CLASSES, class_of
from sandbox import Outcome, Stage

PROGRAM = "import os\ndef f(x):\n    return y\n"
TEXT = "Sure:\n" + PROGRAM


def finding(rule, line=1, column=0, end_column=1):
    return Finding(rule, line, column, line, end_column, class_of(rule), "")


# F821 (1.0) at `y`, F401 (0.25) at `os`: W = 1.25.
TWO = (finding("F821", 3, 11, 12), finding("F401", 1, 7, 9))


def answer(findings=TWO, stage=Stage.RUNS, text=TEXT, start=6, **analysis):
    """An answer of which only the findings and the text matter."""
    values = {field.name: None for field in dataclasses.fields(Outcome)}
    outcome = Outcome(**values | {"stage": stage, "passed": 0, "total": 1, "tests": ()})
    said = Analysis(**{"parses": True, "style": findings} | analysis)
    return Answer(text, (start, len(text)), outcome, entry_point="f", analysis=said)


def test_formulas():
    """A weight that is lost between table and formula, or a normaliser that is ignored."""
    assert style(answer()).value == pytest.approx(math.exp(-1.25 / 2))
    assert style(answer(), normaliser=5).value == pytest.approx(math.exp(-0.25))
    assert style_linear(answer(), normaliser=5).value == pytest.approx(0.75)
    assert style_linear(answer(5 * TWO), normaliser=5).value == 0.0
    assert style(answer(())).value == style_linear(answer(())).value == 1.0


def test_normaliser_is_not_the_length():
    """Findings per line: a thousand empty lines would then wash a program clean."""
    assert style(answer(text=TEXT + 1000 * "\n")) == style(answer())


@pytest.mark.parametrize("component", [style, style_linear])
@pytest.mark.parametrize(
    "unpaid",
    [
        answer((), stage=Stage.SYNTAX_ERROR),
        answer((), parses=False),
        answer((), failed="crash"),
        answer((), text="", start=0),
        answer((), text="# f\n", start=0),
        answer((), text="def g(x):\n    return x\n", start=0),
    ],
    ids=["sandbox", "parser", "failed", "empty", "comment", "another name"],
)
def test_nothing_found_in_nothing_is_worth_nothing(component, unpaid):
    """A text without findings because there is no program in it, paid as the cleanest of all."""
    assert component(unpaid).value == 0.0
    assert component(unpaid).spans == ()
    assert component(unpaid, unparsed=0.5).value == 0.5


@pytest.mark.parametrize("component", [style, style_linear])
def test_bad_calls_are_errors(component):
    """A program that nobody analysed taken for a clean one; a negative normaliser that pays for findings."""
    with pytest.raises(ValueError, match="style.*: the program was not analysed"):
        component(dataclasses.replace(answer(), analysis=None))
    for normaliser in (0, -2.0, math.nan):
        with pytest.raises(ValueError, match="normaliser"):
            component(answer(), normaliser=normaliser)


@pytest.mark.parametrize("component", [style, style_linear])
def test_loss_lies_at_the_findings_by_weight(component):
    """A loss charged to the wrong line, split evenly, or shifted by the text before the program."""
    value = component(answer())
    assert [TEXT[span.start : span.end] for span in value.spans] == ["y", "os"]
    loss = value.value - 1.0
    assert [span.value for span in value.spans] == pytest.approx([0.8 * loss, 0.2 * loss])
    assert value.rest == pytest.approx(1.0)


def test_finding_without_a_place_goes_to_the_rest():
    """The loss of a finding beyond the text (Ruff places some at the line after the last) charged to its neighbours."""
    value = style(answer((finding("F821", 3, 11, 12), finding("W391", 90, 0, 1))))
    loss = value.value - 1.0
    assert [span.value for span in value.spans] == pytest.approx([0.8 * loss])
    assert value.rest == pytest.approx(1.0 + 0.2 * loss)


@pytest.mark.parametrize("hiding", ["F405", "PLW0602"])
def test_hiding_an_undefined_name_is_no_cheaper(hiding):
    """`from os import *` or `global y` turns F821 into another rule: at a lower weight that would be a bargain."""
    assert WEIGHTS[class_of(hiding)] >= WEIGHTS[class_of("F821")]


def test_every_class_has_a_weight():
    """A class without a weight: the first program with such a finding would end the run."""
    assert list(WEIGHTS) == list(CLASSES)
