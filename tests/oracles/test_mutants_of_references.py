"""Wrong programs made of MBPP's references, which our judge has to refuse; a plain judge says which they are."""

import json
import re

import pytest

from data.problems import Problem
from data.sets import mbpp
from experiments import bench
from experiments.benchmarks import judge as bench_judge
from experiments.benchmarks.judge import PLAIN_JUDGE, Mutant, count, judge_mutants, plain_mutants
from experiments.benchmarks.mutants import MISTAKES, mutants
from experiments.benchmarks.tools import run_script

SECONDS = 0.15  # the references take milliseconds


def test_wrong_mutants_are_judged_failed_and_right_ones_passed(mbpp_file):
    """A judge that passes a wrong program, by a test that is not run, a comparison that is not made, a value of its own
    in place of the program's; or one that fails a right program written in another way."""
    found = judge_mutants(plain_mutants(mbpp.read(mbpp_file)[::20], 2, SECONDS), 2, SECONDS)
    assert [(m.problem.task_id, m.program) for m in found if m.wrong and m.passed] == []
    assert [(m.problem.task_id, m.program) for m in found if not m.wrong and not m.passed] == []
    for mistake in MISTAKES:
        assert count([m for m in found if m.mistake == mistake])["wrong"] >= 45  # were there any at all?


def test_one_mistake_at_every_place():
    """A mutant with two mistakes or none, a place left out, or true and false taken for 1 and 0."""
    code = "def g():\n    return None if True else 3\n\ndef f(x):\n    return 1 <= x < 5 or x not in [7]\n"
    whole = "def g():\n    return None if True else {}\n\ndef f(x):\n    return {} {} x {} {} or x {} [{}]"
    right = [3, 1, "<=", "<", 5, "not in", 7]

    def variants(*changes):
        return {whole.format(*(new if i == place else old for i, old in enumerate(right))) for place, new in changes}

    assert set(mutants(code, "f", "off-by-one constant")) == variants((0, 4), (1, 2), (4, 6), (6, 8))
    assert set(mutants(code, "f", "swapped comparison")) == variants((2, ">="), (3, ">"), (5, "in"))
    assert mutants(code, "f", "returns None") == [
        "def g():\n    return None if True else 3\n\ndef f(x):\n    return None"
    ]


def test_the_plain_judge_tells_how_a_program_ends():
    """An oracle that takes what it could not run for right, that hangs, or that compares nothing but verdicts."""
    programs = {
        "def f(x):\n    return x + 1\n": (["passed", "passed"], ["2", "3"]),
        "def f(x):\n    return x + 1.0\n": (["passed", "passed"], ["2.0", "3.0"]),
        "def f(x):\n    return 2\n": (["passed", "wrong"], ["2", "2"]),
        "def f(x):\n    return 2 // (2 - x)\n": (["passed", "error"], ["2", "ZeroDivisionError"]),
        "def f(x):\n    while x > 1: pass\n    return 2\n": (["passed", "hang"], ["2"]),
        "import os\ndef f(x):\n    os._exit(3)\n": (["crash"], []),
        "def f(x) return 2\n": (["error"], ["SyntaxError"]),
        "def g(x):\n    return 2\n": (["error"], ["KeyError"]),
    }
    tests = ["assert f(1) == 2", "assert f(2) == 3"]
    job = {"programs": list(programs), "tests": tests, "setup": "", "entry_point": "f", "least_seconds": 0.1}
    (records,) = run_script(PLAIN_JUDGE, [job], {})
    assert [(record["verdicts"], record["outputs"]) for record in records] == list(programs.values())


def test_a_wrong_program_that_passes_is_named(tmp_path, monkeypatch, capsys):
    """A benchmark that prints its tables and succeeds, whatever is in them."""
    problem = Problem(2, "", "def f(x):\n    return x\n", ("assert f(1) == 1",), "f")
    file = tmp_path / "mbpp.jsonl"
    record = {"text": "", "code": problem.code, "task_id": 2, "test_setup_code": "", "test_list": problem.test_list}
    file.write_text(json.dumps(record) + "\n")
    bench.main(["judge", "--data", str(file), "--slots", "1"])
    rows = [re.split("  +", line) for line in capsys.readouterr().out.splitlines()]
    assert ["MBPP", "1", "1"] in [row[:3] for row in rows]  # problems, passed
    header = ["mistake", "mutants", "output changed", "wrong", "judged failed", "right", "passed"]
    assert ["returns None", "1", "1", "1", "1", "0", "0"] in rows[rows.index(header) :]
    passes = Mutant(problem, "returns None", problem.code, changed=True, wrong=True)
    monkeypatch.setattr(bench_judge, "plain_mutants", lambda *_: [passes])
    with pytest.raises(SystemExit) as stopped:
        bench.main(["judge", "--data", str(file), "--slots", "1"])
    assert stopped.value.code == 1
    assert "MBPP 2: passes: returns None" in capsys.readouterr().err


def test_a_missing_file_is_one_line(capsys, tmp_path):
    """A traceback in place of the name of what is missing."""
    with pytest.raises(SystemExit) as stopped:
        bench.main(["judge", "--data", str(tmp_path)])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
