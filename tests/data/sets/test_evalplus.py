"""EvalPlus's sets: strict reading, arguments of the right types, tests that decide correctly."""

import ast
import json
import re
import textwrap

import pytest

from data.problems import Problem
from data.prompts import build_prompt
from data.sets import evalplus
from data.sets.evalplus import Expected, make_problem, read_tasks

MBPP = {
    "task_id": "Mbpp/601",
    "prompt": '"""\nWrite a function to add.\nassert add(1, 2) == 3\n"""\n',
    "entry_point": "add",
    "canonical_solution": "\ndef add(a, b):\n    return a + b\n",
    "base_input": [[1, 2], [3, 4]],
    "plus_input": [[5, 6]],
    "atol": 0,
    "contract": "",
    "assertion": "",
}
HUMANEVAL = {
    "task_id": "HumanEval/7",
    "prompt": 'import math\n\n\ndef area(r):\n    """ Area of a disc. """\n',
    "entry_point": "area",
    "canonical_solution": "\n    return math.pi * r * r\n",
    "base_input": [[1.0]],
    "plus_input": [],
    "atol": 0,
    "contract": "",
    "test": "",
}


def read(tmp_path, *records):
    path = tmp_path / "plus.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return read_tasks(path)


def problem_of(tmp_path, fields, *outputs, left_out=(), cpu_seconds=0.1):
    (record,) = read(tmp_path, fields)
    return make_problem(record, Expected(outputs, left_out, cpu_seconds))


# Reading


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task_id": "APPS/1"}, "task_id: needs Mbpp/ or HumanEval/ and a number, got 'APPS/1'"),
        ({"task_id": "Mbpp/975"}, "task_id: Mbpp/975 is not in MBPP"),
        ({"task_id": 601}, "task_id: needs str, got int"),
        ({"canonical_solution": "def add(:\n"}, "canonical_solution: not Python"),
        ({"entry_point": "sub"}, "entry_point: canonical_solution defines no function 'sub'"),
        ({"base_input": []}, "base_input: is empty"),
        ({"base_input": [1, 2]}, "base_input: needs a list of argument lists"),
        ({"plus_input": {"a": 1}}, "plus_input: needs list, got dict"),
        ({"atol": -1}, "atol: needs a number of at least 0, got -1"),
        ({"atol": "0"}, "atol: needs int or float, got str"),
        (
            {"task_id": "Mbpp/252", "base_input": [["not a number"]]},
            "base_input, plus_input: wrong types for Mbpp/252",
        ),
        ({}, "task_id: Mbpp/601 is already used at"),
    ],
)
def test_faults(tmp_path, change, words):
    """A record that no program can pass is accepted, or its error lacks the line."""
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        read(tmp_path, MBPP, MBPP | change)
    assert str(caught.value).startswith(f"{tmp_path / 'plus.jsonl'}:2: ")


def test_a_missing_field(tmp_path):
    """A missing field counts as an empty list of inputs."""
    with pytest.raises(ValueError, match=r":1: plus_input: missing"):
        read(tmp_path, {name: value for name, value in MBPP.items() if name != "plus_input"})


@pytest.mark.parametrize(
    ("number", "arguments", "call"),
    [
        (601, [[1], [2]], "f([1], [2])"),
        (2, [[1], [2, 3]], "f((1,), (2, 3))"),
        (63, [[[1, 2], [3]]], "f([(1, 2), (3,)])"),
        (259, [[[1, 2]], [[3, 4]]], "f(((1, 2),), ((3, 4),))"),
        (75, [[[1, 2]], 6], "f([(1, 2)], 6)"),
        (250, [[1, [2]], 3], "f((1, [2]), 3)"),
        (307, [["a", [], 1], 2, 50], "f(('a', [], 1), 2, 50)"),
        (106, [[1], [2]], "f([1], (2,))"),
        (580, [[1, [2, [3]]]], "f((1, (2, (3,))))"),
        (115, [[[1, 1, 2], []]], "f([{1, 2}, {}])"),
        (124, [0, "1j"], "f(0.0, complex(0.0, 1.0))"),
        (252, ["1+2j"], "f(complex(1.0, 2.0))"),
        (278, [[1, [2, 3]]], "f((1, (2, 3)))"),
        (722, [{"a": [1, 2]}, 6.0], "f({'a': (1, 2)}, 6.0)"),
    ],
)
def test_types_of_arguments(tmp_path, number, arguments, call):
    """A task gets a list for a tuple, so that its reference fails or returns another value."""
    fields = {"task_id": f"Mbpp/{number}", "entry_point": "f", "canonical_solution": "def f(*a): pass\n"}
    (record,) = read(tmp_path, MBPP | fields | {"base_input": [arguments], "plus_input": {}})
    assert record.call(0) == call


@pytest.mark.filterwarnings("ignore:invalid escape sequence")  # in solutions and contracts
def test_the_real_file(mbppplus_file):
    """Arguments have other types than the task's contract requires, or tasks or inputs are lost."""
    records = read_tasks(mbppplus_file)
    assert (len(records), sum(len(r.inputs) for r in records), sum(r.base for r in records)) == (378, 41015, 1174)
    helpers = {"close", "_near", "found", "other", "polynomial", "got"}
    assert not helpers & {record.entry_point for record in records}
    for record, line in zip(records, mbppplus_file.read_text().splitlines(), strict=True):
        tree = ast.parse(record.code)
        function = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == record.entry_point][-1]
        contract = textwrap.dedent(json.loads(line)["contract"])
        source = f"def contract({ast.unparse(function.args)}):\n    pass\n{textwrap.indent(contract, '    ')}"
        namespace = {"re": re}
        exec(source, namespace)
        refused = 0
        for arguments in record.inputs:
            try:
                namespace["contract"](*arguments)
            except AssertionError:
                refused += 1
        # As published: 1e6 as a float instead of an integer, and lists that are empty or hold no numbers.
        assert refused == {"Mbpp/267": 3, "Mbpp/734": 104}.get(record.task_id, 0), record.task_id


# Tests


def accepts(problem, value, number=0):
    """Whether a test of the problem passes in plain Python with a function that returns the value."""
    namespace = {}
    exec(problem.test_setup_code, namespace)
    namespace[problem.entry_point] = lambda *_: value
    try:
        exec(problem.test_list[number], namespace)
    except (AssertionError, TypeError):
        return False
    return True


@pytest.mark.parametrize(
    ("want", "right", "wrong"),
    [
        (0.3, [0.1 + 0.2, 0.3 + 9e-7], [0.3 + 2e-6, 0.299998, "0.3", None, [0.3], (0.3,)]),
        (1.0, [1, True, 1.0], [2, 0, None]),  # equal values of any type
        (1, [1, 1.0, True], [1.0000005, 2, 0]),  # an integer has no tolerance
        (10**12, [10**12], [10**12 + 1, 1e12 + 1]),
        (1e9, [1e9, 1e9 + 99], [1e9 + 101]),  # 1e-7 of a large number
        ([0.5, 1.5], [[0.5, 1.5], [0.5 + 5e-7, 1.5]], [(0.5, 1.5), [0.5], [0.5, 1.5, 2.5], [0.5, 1.6], [0.5, None]]),
        ([1, 0.5], [[1, 0.5]], [[1, 0.5 + 5e-7]]),  # not only floats: Python's own ==
        ((), [()], [[], None]),
        (float("inf"), [float("inf")], [1e308, float("-inf"), float("nan")]),
        (float("nan"), [], [float("nan"), 0.0]),
        ([[0.5]], [[[0.5]]], [[[0.5 + 5e-7]]]),
    ],
)
def test_what_is_equal(tmp_path, want, right, wrong):
    """0.1 + 0.2 is not accepted for 0.3, or a mutant passes because of an unintended tolerance."""
    problem = problem_of(tmp_path, MBPP | {"plus_input": [], "base_input": [[1, 2]]}, want)
    assert [value for value in right if not accepts(problem, value)] == []
    assert [value for value in wrong if accepts(problem, value)] == []


def test_a_tolerance_of_the_task(tmp_path):
    """The file's atol is ignored, or used for floats only."""
    problem = problem_of(tmp_path, MBPP | {"atol": 0.01, "plus_input": {}}, [[1.0, 2], 3], 4)
    right, wrong = ([[1.009, 2.0], 3], [(0.991, 2), 3]), ([[1.02, 2], 3], [[1.0], 3], ((1.0, 2), 3), [[1.0, "2"], 3])
    assert all(accepts(problem, value) for value in right)
    assert not any(accepts(problem, value) for value in wrong)
    assert accepts(problem, 4.0, number=1)
    assert not accepts(problem, 4.005, number=1)  # near, but another type


@pytest.mark.parametrize(
    ("name", "arguments", "want", "right", "wrong"),
    [
        ("similar_elements", [[1], [2]], (1, 2), [(2, 1), [1, 1, 2], {1, 2}], [(1,), None, 1]),
        ("check_str", ["a"], True, [True, "match", 0], [None, False]),
        ("check_str", ["a"], False, [None, False], [True, "match", 0]),
        ("surface_Area", [3, 4], 33, [33, 35], [34]),  # slant 4, or height 4: 9 + 6 * sqrt(1.5^2 + 4^2) = 34.63
        ("digit_distance_nums", [23, 156], 6, [6, 7], [5]),  # 023 and 156: 1 + 3 + 3
    ],
)
def test_rules_of_single_tasks(tmp_path, name, arguments, want, right, wrong):
    """A task with a rule of its own in EvalPlus has the general rule here, or accepts everything."""
    fields = {"entry_point": name, "canonical_solution": f"def {name}(*a): pass\n", "plus_input": []}
    problem = problem_of(tmp_path, MBPP | fields | {"base_input": [arguments]}, want)
    assert [value for value in right if not accepts(problem, value)] == []
    assert [value for value in wrong if accepts(problem, value)] == []


def test_any_zero_is_right(tmp_path):
    """Only the zero that the reference finds is accepted, or HumanEval+'s rule is used for MBPP+."""
    fields = {"entry_point": "find_zero", "atol": 0.0001, "base_input": [[[2, -3, 1]]]}  # (x - 1)(x - 2)
    solution = "def find_zero(xs):\n"
    problem = problem_of(tmp_path, HUMANEVAL | fields | {"prompt": solution, "canonical_solution": "    pass\n"}, 1.0)
    assert [accepts(problem, x) for x in (1.0, 2.0, 1.00001, 1.5, None)] == [True, True, True, False, False]
    other = problem_of(tmp_path, MBPP | fields | {"canonical_solution": solution + "    pass\n", "plus_input": []}, 1.0)
    assert not accepts(other, 2.0)


def test_a_problem_of_mbpp(tmp_path):
    """The request contains code, the split is wrong, or base_tests is wrong if an output is left out."""
    problem = problem_of(tmp_path, MBPP, 3, None, 11, left_out=(1,))
    assert (problem.task_id, problem.split, problem.stub) == ("Mbpp/601", "train", "")
    assert problem.text == "Write a function to add."
    assert problem.test_list == ("assert add(1, 2) == 3", "assert add(5, 6) == 11")
    assert (problem.base_tests, problem.cpu_seconds) == (1, 0.0)
    assert problem.examples == ("assert add(1, 2) == 3",)
    assert problem.code == "def add(a, b):\n    return a + b\n"


def test_prompts_of_mbpp_are_evalplus_own(mbppplus_file):
    """The prompt shows a helper of ours, which no model knows, or two tests instead of EvalPlus's one."""
    records = read_tasks(mbppplus_file)
    for record in records:
        text, shown = evalplus.request(record)
        problem = Problem("", text, "", shown=shown)
        ours, theirs = (
            [line.rstrip() for line in prompt.split("\n")] for prompt in (build_prompt(problem), record.prompt)
        )
        assert ours == theirs


def test_a_problem_of_humaneval(tmp_path):
    """The reference lacks its prompt, or the problem lacks its stub."""
    problem = problem_of(tmp_path, HUMANEVAL, 3.14, cpu_seconds=0.6)
    assert (problem.task_id, problem.split, problem.stub) == ("HumanEval/7", "test", HUMANEVAL["prompt"])
    assert problem.text == "Area of a disc."
    assert problem.shown == ()
    assert problem.test_list == ("assert close(area(1.0), 3.14, 1e-06)",)
    assert problem.code == HUMANEVAL["prompt"] + HUMANEVAL["canonical_solution"]
    assert problem.cpu_seconds == 3  # 4 x 0.6, in whole seconds


def test_none_is_skipped():
    """A task without expected outputs becomes a problem without tests."""
    with pytest.raises(KeyError):
        evalplus.make_problems([evalplus.EvalPlusTask("Mbpp/2", "", "", "f", ((),), 1, 0.0, "")], {})
