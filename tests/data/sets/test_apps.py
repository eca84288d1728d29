"""APPS and APPS+: programs and functions are separate, tests have the sandbox's form, reading is strict.

The records are made here, in the published layouts: the real files are large, and not ours to ship.
"""

import json
import re

import pytest

from data.sets import apps
from experiments.inputs.tasks import make_task
from sandbox import Limits, Sandbox, Stage, Task


def apps_record(number, inputs, outputs, solutions=("print(int(input()) * 2)\n",), starter="", **fields):
    tests = {"inputs": inputs, "outputs": outputs}
    if starter:
        tests["fn_name"] = re.search(r"def (\w+)", starter)[1]
    record = {
        "id": number,
        "question": f"Question {number}.\n",
        "solutions": json.dumps(list(solutions)),
        "input_output": json.dumps(tests),
        "difficulty": "interview",
        "url": "",
        "starter_code": starter,
    }
    return record | fields


PROGRAM = apps_record(0, ["3\n", ["4", ""]], ["6\n", ["8"]])
FUNCTION = apps_record(1, [[[1, 2]], [[3]]], [[3], [3]], ["def add(xs):\n    return sum(xs)\n"], "def add(xs):\n\t")
METHOD_CODE = (
    "class Solution:\n    def pairs(self, xs: List[int]) -> List[int]:\n        return tuple(xs), Counter(xs)[1]\n"
)
METHOD = apps_record(
    2, [[[1, 1]]], [[[[1, 1], 2]]], [METHOD_CODE], "class Solution:\n    def pairs(self, xs: List[int]) -> List[int]:\n"
)

LONG = 2**20000  # 6,021 digits


def write(tmp_path, *records, name="apps-train.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture(scope="module")
def judge():
    with Sandbox(slots=1, limits=Limits(test_cpu_seconds=5.0, test_wall_seconds=30.0)) as judge:
        yield judge


def passes(judge, problem, program=None):
    return judge.run([make_task(problem, program or problem.code)])[0].stage == Stage.PASSED


def test_programs_and_functions_apart(tmp_path):
    """A set of stdin programs has tests with argument lists, which no program can pass (36 % of APPS+), or a problem
    that an empty program solves."""
    path = write(tmp_path, PROGRAM, FUNCTION, METHOD, apps_record(3, ["1\n", "2\n"], ["\n", " "]))
    programs, functions = apps.read_programs(path), apps.read_functions(path)
    assert [p.task_id for p in programs] == ["train/0"]
    assert [p.task_id for p in functions] == ["train/1", "train/2"]
    assert all(p.cases and not p.test_list and not p.entry_point for p in programs)
    assert all(p.test_list and not p.cases and p.entry_point for p in functions)
    assert programs[0].cases == (("3\n", "6\n"), ("4\n", "8"))  # a list is lines


def test_references_pass(tmp_path, judge):
    """An assert rejects a correct value: outputs in a list of one, tuples for lists, methods, missing imports."""
    path = write(tmp_path, PROGRAM, FUNCTION, METHOD)
    function, method = apps.read_functions(path)
    assert function.test_list[0] == "assert add([1, 2]) in (3, [3])"
    assert method.code.startswith("from collections import Counter\nfrom typing import List\n\nclass")
    assert "It has to begin like this:\nclass Solution:" in method.text
    for problem in (*apps.read_programs(path), function, method):
        assert passes(judge, problem)
    assert passes(judge, function, "def add(xs): return [sum(xs)]")
    assert not passes(judge, function, "def add(xs): return 3.5")
    assert not passes(judge, function, "def add(xs): return [sum(xs), 1]")
    assert not passes(judge, method, METHOD_CODE.replace("tuple(xs),", "").replace("List", "list"))


def test_first_of_several_values_is_not_enough(tmp_path, judge):
    """The first element of [3, 4] passes for the whole list, as in the published checker."""
    record = apps_record(5, [[3]], [[3, 4]], ["def after(n):\n    return [n, n + 1]\n"], "def after(n):\n")
    (problem,) = apps.read_functions(write(tmp_path, record))
    assert passes(judge, problem)
    assert passes(judge, problem, "def after(n): return (n, n + 1)")
    assert not passes(judge, problem, "def after(n): return n")


@pytest.mark.parametrize(
    ("arguments", "output", "test"),
    [
        ([{"1": 2}], [{"3": 4}], "assert f({1: 2}) in ({3: 4}, [{3: 4}])"),
        ([{"1": 2}, 5], {"3": 4}, "assert f({'1': 2}, 5) == {3: 4}"),
        ([{"a": 2}], [{"3": 4, "b": 1}], "assert f({'a': 2}) in ({'3': 4, 'b': 1}, [{'3': 4, 'b': 1}])"),
        (["a'b\n"], "c", "assert f(\"a'b\\n\") == 'c'"),
        ([None, True, -1.5], [], "assert plain(f(None, True, -1.5)) == []"),
        ([float("inf")], [1], "assert f(float('inf')) in (1, [1])"),
        ([LONG], [1], f"assert f({hex(LONG)}) in (1, [1])"),
        ([], [[1, [2]]], "assert plain(f()) in ([1, [2]], [[1, [2]]])"),
    ],
)
def test_values_as_python(tmp_path, arguments, output, test):
    """Python source has JSON's words, string keys for integers, or an integer too long for Python's compiler."""
    given = f"[{decimal(LONG)}]" if arguments == [LONG] else json.dumps(arguments)
    text = f'{{"inputs": [{given}], "outputs": [{json.dumps(output)}], "fn_name": "f"}}'
    record = apps_record(5, [], [], ["def f(*x): return 1"], "def f(*x):\n", input_output=text)
    (problem,) = apps.read_functions(write(tmp_path, record))
    assert problem.test_list == (test,)


def decimal(number):
    """All digits of a number, nine at a time: str() has a limit."""
    parts = []
    while number >= 10**9:
        number, rest = divmod(number, 10**9)
        parts.append(f"{rest:09d}")
    return str(number) + "".join(reversed(parts))


def test_splits(tmp_path):
    """A problem is in train and valid, or the test file is in train."""
    path = write(tmp_path, *(PROGRAM | {"id": number} for number in range(20)))
    assert [p.task_id for p in apps.read_programs(path) if p.split == "valid"] == ["train/9", "train/19"]
    assert {p.split for p in apps.read_programs(path)} == {"train", "valid"}
    (problem,) = apps.read_programs(write(tmp_path, PROGRAM, name="test.jsonl"))
    assert (problem.task_id, problem.split, problem.tier) == ("test/0", "test", "interview")
    (problem,) = apps.read_programs(write(tmp_path, {"problem_id": 7} | PROGRAM, name="test.jsonl"))
    assert problem.task_id == "test/7"


def test_records_that_lack_something(tmp_path):
    """A record without tests is kept, one without a solution is lost, or the reference is Python 2."""
    python2 = apps_record(3, ["1\n"], ["2\n"], ["print 2", "print(2)\n"])
    none = apps_record(4, ["1\n"], ["2\n"], ["print 2"])
    empty = [PROGRAM | {"id": 5, "input_output": ""}, apps_record(6, [], []), none | {"id": 7, "solutions": ""}]
    problems = apps.read_programs(write(tmp_path, python2, none, *empty))
    assert [(p.task_id, p.code) for p in problems] == [("train/3", "print(2)\n"), ("train/4", ""), ("train/7", "")]


def test_tolerance_only_for_fractions(tmp_path):
    """Two different large integers count as equal, or 0.30000000000000004 counts as wrong."""
    whole, fraction = apps_record(3, ["1"], ["1000000007"]), apps_record(4, ["1", "2"], ["1", "0.5"])
    assert [p.tolerance for p in apps.read_programs(write(tmp_path, whole, fraction))] == [0.0, 1e-6]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"difficulty": "hard"}, "difficulty: unknown 'hard'; there are introductory, interview, competition"),
        ({"question": None}, "question: needs str"),
        ({"id": "1"}, "id: needs int"),
        ({"id": 1}, "task_id: train/1 is already used at"),
        ({"input_output": "{"}, "input_output: not JSON"),
        ({"input_output": "[1]"}, "input_output: needs JSON of a dict, got list"),
        ({"input_output": '{"inputs": ["1"], "outputs": []}'}, "outputs: there are 0, for 1 inputs"),
        ({"input_output": '{"inputs": [1], "outputs": ["1"]}'}, "stdin and stdout need text, got int"),
        ({"input_output": '{"inputs": ["1"], "outputs": ["1"], "fn_name": "f"}'}, "need a list of arguments, got str"),
        ({"solutions": "[1]"}, "solutions: needs a list of strings"),
    ],
)
def test_faults(tmp_path, change, words):
    """A bad record is accepted, or its error does not tell the place in 1.3 GB."""
    path = write(tmp_path, PROGRAM | {"id": 1}, PROGRAM | change)
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        apps.read_programs(path)
    assert str(caught.value).startswith(f"{path}:2: ")


def plus_record(text, starter, solution, inputs, outputs, **fields):
    record = {"question": text, "starter_code": starter, "canonical_solution": solution}
    return record | {"inputs": inputs, "outputs": outputs, "difficulty": "competition"} | fields


PLUS = [
    plus_record(
        '\ndef OXzHP():\n    """Print twice\nthe number.\n    """\n',
        "\ndef OXzHP():\n",
        "def OXzHP():\n    print(2 * int(input()))\n",
        ["3\n"],
        ["6\n"],
    ),
    plus_record(
        '\ndef show_me(name):\n\t    """Is it a name?\n    """\n',
        "\ndef show_me(name):\n\t",
        "def show_me(name):\n    return name.istitle()\n",
        [["Jean"], ["jean"]],
        [[True], [False]],
    ),
    plus_record("Say 5.", "", "print(5)", [""], ["5"]),
]


def test_apps_plus(tmp_path, judge):
    """Its layout is misread: solutions without a call, random names in the request, functions among the programs."""
    path = tmp_path / "appsplus.json"
    path.write_text(json.dumps(PLUS))
    called, script = apps.read_plus_programs(path)
    (function,) = apps.read_plus_functions(path)
    assert [p.task_id for p in (called, function, script)] == [0, 1, 2]
    assert (called.text, script.text) == ("Print twice\nthe number.", "Say 5.")
    assert (function.entry_point, function.tier) == ("show_me", "competition")
    assert function.text.endswith("It has to begin like this:\n\ndef show_me(name):")
    for problem in (called, function, script):
        assert passes(judge, problem)
    assert not judge.run([Task("print(7)", cases=make_task(called, "").cases)])[0].passed


def test_splits_of_apps_plus(tmp_path):
    """A split depends on anything but the position."""
    path = tmp_path / "appsplus.json"
    path.write_text(json.dumps([PLUS[2]] * 20))
    splits = [p.split for p in apps.read_plus_programs(path)]
    assert splits == (["train"] * 8 + ["valid", "test"]) * 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"question": 5}, "record 1: question: needs str"),
        ({"starter_code": ""}, "record 1: starter_code: begins no function"),
        ({"outputs": None}, "record 1: outputs: needs list"),
    ],
)
def test_faults_of_apps_plus(tmp_path, change, words):
    """An error does not tell the record among 7,413."""
    path = tmp_path / "appsplus.json"
    path.write_text(json.dumps([PLUS[0], PLUS[1] | change]))
    with pytest.raises(ValueError, match=words):
        apps.read_plus_functions(path)


def test_a_request_by_another_name(tmp_path):
    """The request is not found, and the prompt is empty."""
    path = tmp_path / "appsplus.json"
    rest = {key: value for key, value in PLUS[2].items() if key != "question"}
    path.write_text(json.dumps([rest | {"prompt": "Say 5."}]))
    assert apps.read_plus_programs(path)[0].text == "Say 5."
    path.write_text(json.dumps([rest]))
    with pytest.raises(ValueError, match="no request: none of question, prompt, description among starter_code"):
        apps.read_plus_programs(path)
