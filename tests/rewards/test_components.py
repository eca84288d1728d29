"""The two rewards on every stage."""

import dataclasses

import pytest

from rewards.components import Ladder, binary, staged
from sandbox import Outcome, Stage


def outcome(stage, passed=0, total=4):
    """An outcome of which only stage and counts matter."""
    values = {field.name: None for field in dataclasses.fields(Outcome)}
    return Outcome(**values | {"stage": stage, "passed": passed, "total": total})


@pytest.mark.parametrize(
    ("stage", "passed", "value"),
    [
        (Stage.SYNTAX_ERROR, 0, 0.0),
        (Stage.PARSES, 0, 0.2),
        (Stage.RUNS, 0, 0.4),
        (Stage.OUTPUT, 0, 0.6),
        (Stage.PARTIAL, 1, 0.7),
        (Stage.PARTIAL, 3, 0.9),
        (Stage.PASSED, 4, 1.0),
    ],
)
def test_staged_ladder(stage, passed, value):
    """A rung out of order, or a program that passes everything and gets less than 1."""
    assert staged(outcome(stage, passed)) == pytest.approx(value)


def test_binary_pays_for_all_tests_only():
    """Partial credit in the binary reward."""
    assert [binary(outcome(stage, 3)) for stage in Stage] == [0, 0, 0, 0, 0, 1]


def test_ladder_constants_are_used():
    """A configurable ladder whose configuration is ignored."""
    ladder = Ladder(syntax_error=-1.0, parses=-0.5, runs=0.0, output=0.1, tests=0.9)
    values = [staged(outcome(stage, passed), ladder) for stage, passed in zip(Stage, (0, 0, 0, 0, 2, 4), strict=True)]
    assert values == pytest.approx([-1.0, -0.5, 0.0, 0.1, 0.55, 1.0])
