"""MBPP: both published layouts, the standard splits, strict reading; references pass in the sandbox."""

import ast
import json
import re
import warnings

import pytest

from data.sets import mbpp
from experiments.inputs.tasks import make_task
from sandbox import Limits, Sandbox, Stage

FULL = {
    "text": "Write a function to add.",
    "code": "def add(a, b):\r\n    return a + b\r\n",
    "task_id": 600,
    "test_setup_code": "",
    "test_list": ["assert add(1, 2) == 3"],
    "challenge_test_list": ["assert add(0, 0) == 1"],
}
SANITIZED = {
    "source_file": "x",
    "task_id": 601,
    "prompt": "Write a function to take a root.",
    "code": "def root(a):\n    return a ** 0.5\n",
    "test_imports": ["import math", "import cmath"],
    "test_list": ["assert math.isclose(root(4), 2)"],
}


@pytest.fixture
def sanitized_file(mbpp_file):
    return mbpp_file.with_name("sanitized-mbpp.json")


def read(tmp_path, *records):
    path = tmp_path / "mbpp.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return mbpp.read(path)


def read_sanitized(tmp_path, *records):
    path = tmp_path / "sanitized.json"
    path.write_text(json.dumps(records, indent=1))
    return mbpp.read_sanitized(path)


def test_a_record_of_each_shape(tmp_path):
    """A field is read by the other layout's name, challenge tests are among the tests, or lines end in \\r."""
    (full,) = read(tmp_path, FULL)
    assert (full.task_id, full.text, full.split) == (600, "Write a function to add.", "valid")
    assert (full.code, full.test_list) == ("def add(a, b):\n    return a + b\n", ("assert add(1, 2) == 3",))
    (sanitized,) = read_sanitized(tmp_path, SANITIZED)
    assert (sanitized.text, sanitized.split) == ("Write a function to take a root.", "train")
    assert (sanitized.test_setup_code, sanitized.entry_point) == ("import math\nimport cmath", "root")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task_id": 975}, "task_id: 975 is not in MBPP"),
        ({"task_id": "600"}, "task_id: needs int"),
        ({"task_id": 1}, "task_id: 1 is already used at"),
        ({"test_list": ["assert add(1, 2) = 3"]}, "test_list[0]: not Python"),
        ({"test_setup_code": "root = ("}, "test_setup_code: not Python"),
        ({"text": 5}, "text: needs str, got int"),
    ],
)
def test_faults(tmp_path, change, words):
    """A bad record is accepted, or its error lacks line or field."""
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        read(tmp_path, FULL | {"task_id": 1}, FULL | change)
    assert str(caught.value).startswith(f"{tmp_path / 'mbpp.jsonl'}:2: ")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({k: v for k, v in SANITIZED.items() if k != "prompt"}, "record 1: prompt: missing"),
        (SANITIZED | {"test_imports": "import math"}, "record 1: test_imports: needs list"),
        (SANITIZED | {"test_imports": ["import"]}, "record 1: test_imports: not Python"),
        ("text", "record 1: a problem is a JSON object, not str"),
    ],
)
def test_faults_of_the_list(tmp_path, record, words):
    """The same in a file that is one JSON list: errors name the record."""
    with pytest.raises(ValueError, match=words):
        read_sanitized(tmp_path, SANITIZED | {"task_id": 2}, record)
    (tmp_path / "object.json").write_text("{}")
    with pytest.raises(ValueError, match="needs one JSON list"):
        mbpp.read_sanitized(tmp_path / "object.json")


def test_real_files_and_their_splits(mbpp_file, sanitized_file):
    """A split begins or ends one task too early or late, or a file is not read to its end."""
    problems = mbpp.read(mbpp_file)
    assert [problem.task_id for problem in problems] == list(range(1, 975))
    expected = ["prompt"] * 10 + ["test"] * 500 + ["valid"] * 90 + ["train"] * 374
    assert [problem.split for problem in problems] == expected
    full = {problem.task_id: problem for problem in problems}
    sanitized = mbpp.read_sanitized(sanitized_file)
    assert len(sanitized) == 427
    assert all(problem.split == full[problem.task_id].split for problem in sanitized)
    assert sum(bool(problem.test_setup_code) for problem in problems) == 2
    assert sum(bool(problem.test_setup_code) for problem in sanitized) == 13


def test_entry_points_agree_with_another_rule(mbpp_file, sanitized_file):
    """A helper, or a name that the test only mentions, is taken for the tested function.

    The other rule: the first name in the tests that the reference defines.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in MBPP's own code
        for problem in mbpp.read(mbpp_file) + mbpp.read_sanitized(sanitized_file):
            defined = {node.name for node in ast.parse(problem.code).body if hasattr(node, "name")}
            names = [n.id for test in problem.test_list for n in ast.walk(ast.parse(test)) if isinstance(n, ast.Name)]
            assert problem.entry_point == next(name for name in names if name in defined), problem.task_id


def test_references_pass(mbpp_file, sanitized_file):
    """Imports do not reach the tests, or reading loses the setup code.

    tests/sandbox/test_benchmarks.py has all of the full set.
    """
    problems = mbpp.read_sanitized(sanitized_file)
    problems = problems[::8] + [p for p in problems + mbpp.read(mbpp_file) if p.test_setup_code]
    limits = Limits(test_cpu_seconds=5.0, test_wall_seconds=30.0, program_wall_seconds=60.0)
    with Sandbox(slots=2, limits=limits) as judge:
        outcomes = judge.run([make_task(problem, problem.code) for problem in problems])
    failed = [p.task_id for p, o in zip(problems, outcomes, strict=True) if o.stage != Stage.PASSED]
    assert failed == []
