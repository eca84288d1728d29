"""The components that look at outcomes only, on every stage and against closed forms."""

import dataclasses
import math

import pytest

from rewards.answer import Answer
from rewards.components.binary import binary
from rewards.components.calibrated import calibrated
from rewards.components.coderl import coderl
from rewards.components.format import format_reward
from rewards.components.length import length
from rewards.components.pass_rate import pass_rate
from rewards.components.simulator import World, simulator
from rewards.components.staged import staged
from rewards.components.syntax import syntax
from sandbox import Outcome, Stage, Verdict

PROGRAM = "def f(x):\n    return y\n"


def outcome(stage, passed=0, total=4, words=None, **fields):
    """An outcome of which only what is given matters."""
    words = words or ["passed"] * passed + ["wrong"] * (total - passed)
    values = {field.name: None for field in dataclasses.fields(Outcome)}
    values |= {"stage": stage, "passed": passed, "total": total, "tests": tuple(Verdict(word) for word in words)}
    return Outcome(**values | fields)


def answer(stage, passed=0, total=4, text=PROGRAM, fields=(), **more):
    return Answer(text, (0, len(text)), outcome(stage, passed, total, **dict(fields)), **more)


STAGES = [
    (Stage.SYNTAX_ERROR, 0),
    (Stage.PARSES, 0),
    (Stage.RUNS, 0),
    (Stage.OUTPUT, 0),
    (Stage.PARTIAL, 1),
    (Stage.PARTIAL, 3),
    (Stage.PASSED, 4),
]
EXPECTED = {
    binary: [0, 0, 0, 0, 0, 0, 1],
    pass_rate: [0, 0, 0, 0, 0.25, 0.75, 1],
    staged: [0, 0.2, 0.4, 0.6, 0.7, 0.9, 1],
    syntax: [0, 1, 1, 1, 1, 1, 1],
    coderl: [-1, -0.3, -0.3, -0.3, -0.3, -0.3, 1],  # every test came to its comparison
}


@pytest.mark.parametrize("component", EXPECTED, ids=lambda component: component.__name__)
def test_value_of_each_stage(component):
    """A rung out of order, a partial pass that counts as none, or a program that passes all and gets less than all."""
    for (stage, passed), value in zip(STAGES, EXPECTED[component], strict=True):
        assert component(answer(stage, passed)).value == pytest.approx(value)


def test_rungs_are_options():
    """A constant of the ladder that is written into the code, and an option that changes nothing."""
    rungs = {"syntax_error": -0.1, "parses": 0.1, "runs": 0.15, "output": 0.2, "tests": 0.6}
    values = [staged(answer(stage, passed), **rungs).value for stage, passed in STAGES]
    assert values == pytest.approx([-0.1, 0.1, 0.15, 0.2, 0.35, 0.65, 0.8])


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (("wrong", "passed"), -0.3),
        (("wrong", "error"), -0.6),
        (("passed", "timeout"), -0.6),
        (("crash", "not run"), -0.6),
        (("not run", "not run"), -0.6),
    ],
)
def test_coderl_tells_a_crash_from_a_wrong_value(words, value):
    """An exception on the second test that passes for a wrong value because the first test only was looked at."""
    assert coderl(answer(Stage.PARTIAL, fields={"words": words}, total=2)).value == value


@pytest.mark.parametrize("component", [binary, pass_rate, staged, syntax, coderl], ids=lambda c: c.__name__)
def test_the_loss_lies_at_the_failing_line(component):
    """A loss at another line, of another size than what is lacking, or one charged although nothing is lacking."""
    failed = answer(Stage.SYNTAX_ERROR, fields={"line": 2, "column": 4, "error_type": "SyntaxError"})
    value = component(failed)
    (span,) = value.spans
    assert PROGRAM[span.start : span.end] == "return y"
    assert span.value == pytest.approx(component(failed).value - component(answer(Stage.PASSED, 4)).value)
    assert value.rest == pytest.approx(component(answer(Stage.PASSED, 4)).value)
    assert component(answer(Stage.PASSED, 4)).spans == ()
    wrong = answer(Stage.OUTPUT, fields={"error_type": "AssertionError"})
    assert component(wrong).spans == ()  # a wrong value has no line


def group(*rows):
    """The outcomes of a group: for each answer, a letter for each test, p for passed."""
    return tuple(
        outcome(Stage.PARTIAL, row.count("p"), len(row), ["passed" if letter == "p" else "wrong" for letter in row])
        for row in rows
    )


def test_calibrated_is_the_papers_formula():
    """A pass rate over tests instead of answers, a kernel that leaves out the test itself, an unweighted sum."""
    peers = group("ppff", "pppf", "ppff", "ppff")  # rho: 1, 1, 1/4, 0
    rho, alpha, h, delta = [1.0, 1.0, 0.25, 0.0], 2.0, 0.1, 0.01
    density = [sum(math.exp(-((a - b) ** 2) / (2 * h * h)) for b in rho) for a in rho]
    w = [math.exp(-alpha * r) / (n + delta) for r, n in zip(rho, density, strict=True)]
    for index, passed in ((0, [0, 1]), (1, [0, 1, 2])):
        found = calibrated(Answer("f = 1", (0, 5), peers[index], peers=peers)).value
        assert found == pytest.approx(sum(w[j] for j in passed) / sum(w))
    plain = [math.exp(-alpha * r) for r in rho]
    found = calibrated(Answer("f = 1", (0, 5), peers[1], peers=peers), density=0).value
    assert found == pytest.approx(sum(plain[:3]) / sum(plain))


def test_calibrated_ignores_copies_of_an_easy_test():
    """Ten copies of one easy test that drown the hard one: the density is there against that."""
    few, many = group("pf", "pp"), group("p" * 10 + "f", "p" * 10 + "p")
    value = [calibrated(Answer("f = 1", (0, 5), peers[0], peers=peers)).value for peers in (few, many)]
    assert value[1] - value[0] < 0.01
    assert pass_rate(Answer("f = 1", (0, 5), many[0])).value > 0.9


def test_calibrated_needs_its_group():
    """A pass rate of a group of nobody, made up."""
    with pytest.raises(ValueError, match="calibrated: needs the outcomes of the answer's whole group"):
        calibrated(answer(Stage.PASSED, 4))


def test_format_pays_a_closed_fence_that_parses():
    """Garbage in a fence that is paid, or a bare program that is."""
    assert format_reward(answer(Stage.PASSED, 4, fenced=True)).value == 1
    assert format_reward(answer(Stage.PASSED, 4, fenced=False)).value == 0
    assert format_reward(answer(Stage.SYNTAX_ERROR, fenced=True)).value == 0
    assert format_reward(answer(Stage.SYNTAX_ERROR, fenced=True), unparsed=1.0).value == 1


def test_length():
    """A penalty that starts a token early or late, jumps, or goes past -1."""
    found = [length(answer(Stage.PASSED, 4, tokens=n, budget=72)).value for n in (1, 51, 52, 57, 62, 67, 72)]
    assert found == [0, 0, 0, -0.25, -0.5, -0.75, -1]
    for budget, buffer in ((72, 72), (10, 1), (30, 7)):
        values = [
            length(answer(Stage.PASSED, 4, tokens=n, budget=budget), buffer=buffer).value for n in range(budget + 1)
        ]
        assert values == pytest.approx([min(0.0, (budget - buffer - n) / buffer) for n in range(budget + 1)])
    for buffer in (0, 73):
        with pytest.raises(ValueError, match=f"length: buffer {buffer}"):
            length(answer(Stage.PASSED, 4, tokens=1, budget=72), buffer=buffer)


def test_simulator_counts_worlds():
    """A stage of one world that decides for all, or stages out of order."""
    worlds = (World.SUCCESS, World.INCOMPLETE, World.ROBOT_ERROR, World.PYTHON_ERROR)
    assert sorted(worlds) == list(reversed(worlds))
    assert simulator(answer(Stage.RUNS, worlds=worlds)).value == 0.25
    assert simulator(answer(Stage.RUNS, worlds=worlds), robot_error=0.2, incomplete=0.4).value == pytest.approx(0.4)
    with pytest.raises(ValueError, match="run in no world"):
        simulator(answer(Stage.RUNS))
