"""HumanEval: stub, reference and check of each record, strict reading; all references pass in the sandbox."""

import json
import re

import pytest

from data.sets import humaneval
from data.sets.registry import load_problems
from experiments.inputs.tasks import make_task
from sandbox import Limits, Sandbox, Stage

RECORD = {
    "task_id": "HumanEval/7",
    "prompt": 'def inner(x):\n    return x\n\n\ndef add(a, b):\n    """ Add two numbers.\n    >>> add(1, 2)\n    """\n',
    "entry_point": "add",
    "canonical_solution": "    return a + b\n",
    "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
}


def read(tmp_path, *records):
    path = tmp_path / "humaneval.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return humaneval.read(path)


def test_a_record(tmp_path):
    """The reference lacks the stub, or the request contains the signature."""
    (problem,) = read(tmp_path, RECORD)
    assert (problem.task_id, problem.split, problem.entry_point) == ("HumanEval/7", "test", "add")
    assert problem.text == "Add two numbers.\n>>> add(1, 2)"
    assert (problem.stub, problem.check) == (RECORD["prompt"], RECORD["test"])
    assert problem.code.endswith('    """\n    return a + b\n')
    assert (problem.test_list, problem.cases) == ((), ())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"entry_point": "sub"}, "entry_point: the prompt defines no function 'sub'"),
        ({"test": "def test(candidate): pass\n"}, "test: defines no function check"),
        ({"test": "def check(candidate)\n"}, "test: not Python"),
        ({"canonical_solution": "  return (\n"}, "prompt + canonical_solution: not Python"),
        ({"prompt": None}, "prompt: needs str"),
        ({}, "task_id: HumanEval/7 is already used at"),
    ],
)
def test_faults(tmp_path, change, words):
    """A record that no program can pass is accepted, or its error lacks the line."""
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        read(tmp_path, RECORD, RECORD | change)
    assert str(caught.value).startswith(f"{tmp_path / 'humaneval.jsonl'}:2: ")


def test_real_references_pass(humaneval_file):
    """A check cannot call helpers of the prompt, or a reference lacks its stub."""
    problems = load_problems("humaneval", "test", given=humaneval_file)
    assert [problem.task_id for problem in problems] == [f"HumanEval/{number}" for number in range(164)]
    assert all(problem.text and problem.stub for problem in problems)
    limits = Limits(test_cpu_seconds=5.0, test_wall_seconds=30.0, program_wall_seconds=60.0)
    with Sandbox(slots=2, limits=limits) as judge:
        outcomes = judge.run([make_task(problem, problem.code) for problem in problems])
        passing = judge.run([make_task(problem, problem.stub + "    return None\n") for problem in problems[::8]])
    assert {outcome.stage for outcome in outcomes} == {Stage.PASSED}
    assert all(outcome.passed == 0 for outcome in passing)
