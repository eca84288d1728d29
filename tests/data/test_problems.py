"""Reading problem files: every error is one line that names file, line number and field."""

import collections
import json
import re

import pytest

from data.problems import literal, parse_json, read_problems
from data.sets.registry import load_problems

GOOD = {
    "task_id": 1,
    "text": "Add.",
    "code": "def add(a, b):\n    return a + b\n",
    "test_list": ["assert add(1, 2) == 3"],
}


def write(tmp_path, *records):
    path = tmp_path / "problems.jsonl"
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records) + "\n")
    return path


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("{not json", ["not JSON"]),
        ([1], ["a problem is a JSON object"]),
        ("[" * 100_000, ["nested too deep"]),
        ({k: v for k, v in GOOD.items() if k != "code"}, ["code", "missing"]),
        (GOOD | {"task_id": ""}, ["task_id", "empty"]),
        (GOOD | {"task_id": 1.5}, ["task_id", "needs int or str, got float"]),
        (GOOD | {"task_id": True}, ["task_id", "needs int or str, got bool"]),
        (GOOD | {"text": None}, ["text", "needs str, got NoneType"]),
        (GOOD | {"test_list": []}, ["test_list", "at least one"]),
        (GOOD | {"test_list": "assert add(1, 2) == 3"}, ["test_list", "needs list"]),
        (GOOD | {"test_list": ["assert add(1, 2) == 3", 4]}, ["test_list", "needs a list of strings"]),
        (GOOD | {"test_list": ["assert ("]}, ["test_list[0]", "not Python"]),
        (GOOD | {"test_list": ["assert other(1) == 2"]}, ["test_list", "no test calls"]),
        (GOOD | {"code": "def add(:"}, ["code", "not Python"]),
        (GOOD | {"split": 3}, ["split", "needs str"]),
        (GOOD | {"split": "tset"}, ["split", "unknown 'tset'"]),
        (GOOD | {"test_list": ["assert add(1, 2) == 3", "add(1, 2) == 4"]}, ["test_list[1]", "no assert"]),
        (GOOD | {"test_setup_code": "import ("}, ["test_setup_code", "not Python"]),
        (GOOD, ["task_id: 1 is already used at", ":1"]),
    ],
)
def test_fault_names_line_and_field(tmp_path, fault, words):
    """A malformed record is skipped, or its error does not tell the place."""
    path = write(tmp_path, GOOD, fault)
    with pytest.raises(ValueError, match=re.escape(f"{path}:2")) as caught:
        read_problems(path)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_task_id_may_be_a_string(tmp_path):
    """Names of tasks become numbers, or 1 and "1" count as one task."""
    problems = read_problems(write(tmp_path, GOOD, GOOD | {"task_id": "1"}, GOOD | {"task_id": "HumanEval/1"}))
    assert [problem.task_id for problem in problems] == [1, "1", "HumanEval/1"]


def test_an_assert_may_stand_in_what_is_set_up(tmp_path):
    """A record is rejected because its tests call a checker with the assert."""
    setup = "def same(got, want):\n    assert got == want\n"
    record = GOOD | {"test_setup_code": setup, "test_list": ["same(add(1, 2), 3)"], "split": "test/unseen"}
    assert read_problems(write(tmp_path, record))[0].test_list == ("same(add(1, 2), 3)",)


def test_bytes_that_are_no_text(tmp_path):
    """A file in another encoding, or a packed file, is read as text."""
    path = tmp_path / "problems.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n\x1f\x8b\x08\xff\n")
    with pytest.raises(ValueError, match=re.escape(f"{path}:2: not UTF-8 text")):
        read_problems(path)


@pytest.mark.parametrize("number", [0, -7, 10**4100 + 9, 7 - 10**9000], ids=["0", "-7", "4101 digits", "9000 digits"])
def test_integers_of_any_length(number):
    """Python's limit of 4,300 digits rejects a record of APPS."""
    text = f"[{'-' * (number < 0)}{digits_of(abs(number))}]"
    assert parse_json(text, "here") == [number]


def digits_of(number):
    """All digits of a number, by another method than the tested code: nine at a time."""
    parts = []
    while number >= 10**9:
        number, rest = divmod(number, 10**9)
        parts.append(f"{rest:09d}")
    return str(number) + "".join(reversed(parts))


def test_missing_and_empty_files(tmp_path):
    """An empty data set causes no error."""
    with pytest.raises(ValueError, match="no problems file"):
        load_problems(tmp_path / "none.jsonl", "train")
    with pytest.raises(ValueError, match="holds no problem"):
        read_problems(write(tmp_path, ""))
    with pytest.raises(ValueError, match="split: no record has 'valid'"):
        load_problems(write(tmp_path, GOOD | {"split": "train"}), "valid")


def test_entry_point_is_the_function_that_the_tests_call(tmp_path):
    """A helper that is defined after the solution is taken for the solution."""
    code = "def add(a, b):\n    return plus(a, b)\n\ndef plus(a, b):\n    return a + b\n"
    assert read_problems(write(tmp_path, GOOD | {"code": code}))[0].entry_point == "add"


def test_real_mbpp_file_if_there(mbpp_file):
    """Our schema rejects records of the real benchmark."""
    problems = read_problems(mbpp_file)
    assert len(problems) == 974


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 0, -5, 0.1 + 0.2, -0.0, 5e-324, float("inf"), float("-inf"), 1e22),
        *(complex(-0.0, -2.0), complex(1.0, float("inf")), "a'b\"\n\ud800", b"\x00'", [], [1, (2,)], (), (1,), set()),
        *({1}, {2, 1, 3}, frozenset(), frozenset({"a"}), {}, {(1, 2): [None], "k": {1.5: ()}}),
    ],
)
def test_literal(value):
    """The source of a value gives another value: another float, or a tuple of one item without its comma."""
    found = eval(literal(value))
    assert type(found) is type(value)
    assert found == value
    if type(value) is float or type(value) is complex:
        assert repr(found) == repr(value)


def test_literals_that_are_hard_to_compare():
    """nan becomes an undefined name, a set has another order in each process, or an integer has more digits than Python
    reads."""
    assert eval(literal([10**5000])) == [10**5000]
    assert eval(literal([float("nan")]), {})[0] != eval(literal([float("nan")]), {})[0]
    assert literal({"b", "c", "a", 1}) == "{'a', 'b', 'c', 1}"
    with pytest.raises(TypeError, match="no literal for a Counter"):
        literal(collections.Counter("a"))
