"""Functions as programs: only if nothing is lost, and every embedded reference passes as a program."""

import json

import pytest

from data.problems import Problem
from data.sets.registry import load_problems
from data.sets.stdin import to_stdin
from experiments.inputs.tasks import make_task
from sandbox import Case, Limits, Sandbox, Stage, Task
from sandbox.judge.cases import same_output


def problem(*tests, text="Write a function to answer.", **fields):
    code = "def f(*arguments):\n    return arguments[0]\n"
    return Problem(3, text, code, tests, "f", family="fam", tier="hard", split="test/unseen", **fields)


def test_a_program_of_a_function():
    """A field is lost, a test remains, or the request still asks for a function."""
    function = problem("assert f([1, 2], 'a') == [1, 2]", "assert f(-1.5) == -1.5")
    program = to_stdin(function)
    assert (program.task_id, program.family, program.tier, program.split) == (3, "fam", "hard", "test/unseen")
    assert program.cases == (('[[1, 2], "a"]\n', "[1, 2]\n"), ("[-1.5]\n", "-1.5\n"))
    assert (program.test_list, program.entry_point) == ((), "")
    assert program.text.startswith("Write a program to answer. It reads one line from stdin")
    assert program == to_stdin(function)


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("Write a python function to sort.", "Write a program to sort."),
        ("Write a function that sorts.", "Write a program that sorts."),
        ("Sort it.", "Write a program that does what this function would do. Sort it."),
    ],
)
def test_the_request(text, begins):
    """With MBPP's other wordings, the request asks for a function, but the tests expect a program."""
    assert to_stdin(problem("assert f(1) == 1", text=text)).text.startswith(begins + " It reads")


@pytest.mark.parametrize(
    "test",
    [
        "assert f((1, 2)) == 1",
        "assert f([1, (2,)]) == 1",
        "assert f(1) == (1,)",
        "assert f({1}) == 1",
        "assert f({1: 2}) == 2",
        "assert f({'a': {2: 3}}) == 3",
        "assert f(b'a') == 1",
        "assert f(1j) == 1",
        "assert f(1e999) == 1",
        "assert f(1) == ...",
        "assert f(x=1) == 1",
        "assert f(*[1]) == 1",
        "assert f(1) != 2",
        "assert f(1) == 1 == 1",
        "assert f(1) is None",
        "assert f(1)",
        "assert not f(1)",
        "assert f(1) == 1, 'message'",
        "assert f(f(1)) == 1",
        "assert g(1) == 1",
        "assert sorted(f([1])) == [1]",
        "assert f(1) == 1; x = 1",
        "assert f('a') == 'two  spaces'",
    ],
)
def test_what_would_be_lost_is_left_out(test):
    """JSON changes a value or a test, so that a correct program fails or a wrong one passes."""
    assert to_stdin(problem("assert f(1) == 1", test)) is None
    assert to_stdin(problem("assert f(1) == 1")) is not None


@pytest.mark.parametrize("field", ["test_setup_code", "support"])
def test_code_beside_the_tests(field):
    """A program is tested without its setup code or its stand-ins."""
    assert to_stdin(problem("assert f(1) == 1", **{field: "x = 1"})) is None


def test_values_survive():
    """A case has another value than the assert: escapes, signs, true for 1."""
    values = [
        None,
        True,
        1,
        -7,
        2**70,
        -0.1,
        1e300,
        "",
        "a 'b' \"c\"\n\t\\",
        "é 漢 \ud800",
        [],
        {},
        {"a": [{"b": None}]},
    ]
    program = to_stdin(problem(f"assert f({values!r}) == {values!r}"))
    ((stdin, stdout),) = program.cases
    assert repr(json.loads(stdin)) == repr([values])
    assert repr(json.loads(stdout)) == repr(values)
    assert stdin.count("\n") == stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("results", "printed", "same"),
    [
        (("4", "5"), "4.0", True),
        (("4.0", "5"), "4", True),
        (("4", "5"), "4.000000000000001", False),
        (("9007199254740992", "5"), "9007199254740993", False),  # as floats they are one
        (("9007199254740993", "5"), "9007199254740992", False),
        (("True", "5"), "1", False),
        (("'4'", "5"), '"4.0"', False),
        (("[4]", "5"), "[4.0]", False),
    ],
)
def test_numbers_are_compared_as_numbers(results, printed, same):
    """A reference that returns 4.0 for the assert's 4 fails as a program, or large integers are rounded."""
    program = to_stdin(problem(*(f"assert f({result}) == {result}" for result in results)))
    assert same_output(printed, program.cases[0][1], program.tolerance) == same


def test_embedded_references_pass():
    """A reference of our own set fails, or problems are lost: 2,901 of the 2,969 embedded problems fit."""
    programs = load_problems("embedded-stdin", "all")
    counts = [sum(p.split.startswith(split) for p in programs) for split in ("train", "valid", "test")]
    assert counts == [2256, 227, 418]
    assert load_problems("embedded-stdin", "test") == [p for p in programs if p.split.startswith("test")]
    some = programs[::40]
    with Sandbox(slots=2, limits=Limits(test_cpu_seconds=5.0, test_wall_seconds=30.0)) as judge:
        outcomes = judge.run([make_task(p, p.code) for p in some])
        first_is_wrong = [Task(p.code, cases=(Case(p.cases[0][0], p.cases[0][1] + "0\n"),)) for p in some[::8]]
        wrong = judge.run(first_is_wrong)
        sorted_keys = to_stdin(problem("assert f({'b': 1, 'a': 2}) == {'b': 1, 'a': 2}"))
        (keys,) = judge.run([make_task(sorted_keys, sorted_keys.code)])
    assert [p.task_id for p, o in zip(some, outcomes, strict=True) if o.stage != Stage.PASSED] == []
    assert all(outcome.stage == Stage.OUTPUT for outcome in wrong)
    assert keys.stage == Stage.PASSED
    assert "keys sorted" in sorted_keys.text
