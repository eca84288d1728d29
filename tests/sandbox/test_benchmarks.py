"""The real benchmarks: with tests and program in two processes every reference passes, and nothing else does."""

import ast
import json

import pytest

from sandbox import Limits, Sandbox, Stage, Task

pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")  # in MBPP's own code
# Wide, because a reference that runs out of time on a busy machine says nothing about the sandbox.
LIMITS = Limits(test_cpu_seconds=5.0, test_wall_seconds=30.0, program_wall_seconds=60.0)
NOTHING = "def {}(*arguments, **named): return None\n"


@pytest.fixture(scope="module")
def judge():
    with Sandbox(slots=2, limits=LIMITS) as judge:
        yield judge


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def entry_point(row):
    """The function or class of the reference that its tests name first."""
    names = [n.id for test in row["test_list"] for n in ast.walk(ast.parse(test)) if isinstance(n, ast.Name)]
    defined = {n.name for n in ast.parse(row["code"]).body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    return next(name for name in names if name in defined)


def mbpp_task(row, program):
    return Task(program, tuple(row["test_list"]), entry_point(row), row.get("test_setup_code", ""))


def humaneval_task(row, program):
    return Task(program, check=row["test"], entry_point=row["entry_point"], setup=row["prompt"])


def failures(rows, outcomes):
    return {
        row["task_id"]: outcome for row, outcome in zip(rows, outcomes, strict=True) if outcome.stage != Stage.PASSED
    }


def test_mbpp_references_pass(judge, mbpp_file):
    """Bug: a task cannot be judged from outside of the program's process: classes, names of builtins, types."""
    rows = read(mbpp_file)
    assert len(rows) == 974
    assert failures(rows, judge.run([mbpp_task(row, row["code"]) for row in rows])) == {}


def test_mbpp_without_an_entry_point(judge, mbpp_file):
    """Bug: functions that nobody named are not found. Not to be found are those called like a builtin: task 126."""
    rows = read(mbpp_file)[::4] + [row for row in read(mbpp_file) if row["task_id"] == 126]
    outcomes = judge.run(
        [Task(row["code"], tuple(row["test_list"]), setup=row.get("test_setup_code", "")) for row in rows]
    )
    assert set(failures(rows, outcomes)) == {126}


def test_mbpp_returning_none_passes_what_expects_none(judge, mbpp_file):
    """Bug: a test passes that was not met: exactly the nine tests of MBPP that expect None are met by None."""
    rows = read(mbpp_file)
    outcomes = judge.run([mbpp_task(row, NOTHING.format(entry_point(row))) for row in rows])
    passed = {
        test
        for row, outcome in zip(rows, outcomes, strict=True)
        for test, verdict in zip(row["test_list"], outcome.tests, strict=True)
        if verdict.word == "passed"
    }
    assert passed == {t for row in rows for t in row["test_list"] if t.replace(" ", "").endswith("==None")}
    assert len(passed) == 9
    assert all(outcome.stage < Stage.PASSED for outcome in outcomes)


def test_humaneval_references_pass(judge, humaneval_file):
    """Bug: check(candidate) does not work unchanged: helpers in the prompt, the entry point called by its own name."""
    rows = read(humaneval_file)
    assert len(rows) == 164
    outcomes = judge.run([humaneval_task(row, row["prompt"] + row["canonical_solution"]) for row in rows])
    assert failures(rows, outcomes) == {}


def test_humaneval_returning_none_passes_nothing(judge, humaneval_file):
    """Bug: a check passes that was not met."""
    rows = read(humaneval_file)
    outcomes = judge.run([humaneval_task(row, NOTHING.format(row["entry_point"])) for row in rows])
    assert [row["task_id"] for row, outcome in zip(rows, outcomes, strict=True) if outcome.passed] == []
