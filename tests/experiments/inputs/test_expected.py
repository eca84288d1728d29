"""Expected outputs of EvalPlus's sets: run once in the sandbox, remembered, and never wrong for being remembered."""

import json

import pytest

from data.sets.evalplus import make_problems, read_tasks
from experiments.files import recall
from experiments.inputs import expected
from experiments.inputs.expected import cache_path, expected_outputs
from experiments.inputs.tasks import make_task, program_limits
from sandbox import Sandbox, Stage

LARGE = "def large(n):\n    if n == 400000:\n        sum(range(60000000))\n    return 'x' * n\n"
SOLUTIONS = {  # of MBPP+: task number, entry point, solution, base inputs, EvalPlus's inputs
    "pairs": (601, "pairs", "def pairs(x):\n    return (x, [float(x)], {x: {x}})\n", [[1]], [[2], [3]]),
    "match": (794, "check_str", "import re\ndef check_str(t):\n    return re.search('a', t)\n", [["a"]], [["b"]]),
    "large": (602, "large", LARGE, [[1], [400000]], [[10**9], [2]]),
    "slow": (603, "slow", "def slow(n):\n    return sum(range(n))\n", [[40000000]], {}),
}  # fmt: skip


def mbpp_record(number, entry_point, solution, base, plus):
    prompt = f'"""\nWrite it.\nassert {entry_point}(1)\n"""\n'
    fields = {"task_id": f"Mbpp/{number}", "prompt": prompt, "entry_point": entry_point, "atol": 0}
    return fields | {"canonical_solution": solution, "base_input": base, "plus_input": plus}


HUMANEVAL = {
    "task_id": "HumanEval/32",
    "prompt": 'def double(x):\n    return 2 * x\n\n\ndef find_zero(xs: list):\n    """Find a zero."""\n',
    "entry_point": "find_zero",
    "canonical_solution": "    return -xs[0] / xs[1] + double(0.0)\n",
    "base_input": [[[1, 2]], [[-3, 7]]],
    "plus_input": [[[0.1, 0.3]]],
    "atol": 0.0001,
}


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Writes records and reads them; the cache is in tmp_path."""
    monkeypatch.setenv("CODELADDER_CACHE", str(tmp_path / "cache"))

    def write(*records):
        path = tmp_path / "plus.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path, read_tasks(path)

    return write


@pytest.fixture
def no_sandbox(monkeypatch):
    """Call it, and whoever starts a sandbox afterwards fails."""

    def refuse(*_):
        raise AssertionError("a sandbox was started")

    return lambda: monkeypatch.setattr(expected, "start_sandbox", refuse)


def test_outputs_and_problems(data):
    """A value that changes its type on the way; a match that cannot travel; a value too large that fails its task; a
    right program that fails its own tests, or a wrong one that passes; time that a slow reference does not get,
    or has for inputs that are left out."""
    path, records = data(*(mbpp_record(*fields) for fields in SOLUTIONS.values()), HUMANEVAL)
    found = expected_outputs(path, records, slots=1)
    pairs, match, large, slow, zero = (found[record.task_id] for record in records)
    assert repr(pairs.outputs) == "((1, [1.0], {1: {1}}), (2, [2.0], {2: {2}}), (3, [3.0], {3: {3}}))"
    assert (match.outputs, pairs.left_out) == ((True, False), ())
    assert (large.outputs, large.left_out) == (("x", None, None, "xx"), (1, 2))
    assert zero.outputs == (-0.5, 3 / 7, -0.1 / 0.3)
    assert slow.cpu_seconds > large.cpu_seconds > 0  # of large without the input that is left out, the longest of all
    problems = make_problems(records, found)
    assert [len(problem.test_list) for problem in problems] == [3, 2, 2, 1, 3]
    assert [problem.base_tests for problem in problems] == [1, 1, 1, 1, 2]
    wrong = [
        "def pairs(x):\n    return [x, [float(x)], {x: {x}}]\n",
        "def check_str(t):\n    return t\n",
        "def large(n):\n    return 'y' * n\n",
        "def slow(n):\n    return n\n",
        HUMANEVAL["prompt"] + "    return -xs[0] / xs[1] + 0.001\n",
    ]
    programs = [problem.code for problem in problems] + wrong
    with Sandbox(1, program_limits(0.25)) as judge:
        outcomes = judge.run([make_task(*pair) for pair in zip(2 * problems, programs, strict=True)])
    assert [outcome.stage for outcome in outcomes[:5]] == [Stage.PASSED] * 5
    assert Stage.PASSED not in [outcome.stage for outcome in outcomes[5:]]


def test_what_is_remembered(data, no_sandbox, capsys):
    """Solutions that are run again each time; outputs of another file; a task that was asked for later forgotten."""
    pairs, match = (mbpp_record(*SOLUTIONS[name]) for name in ("pairs", "match"))
    path, records = data(pairs, match)
    first = expected_outputs(path, records[:1], slots=1)
    both = expected_outputs(path, records, slots=1)
    assert both["Mbpp/601"] == first["Mbpp/601"]  # its CPU time, too, is that of the first run
    changed, new_records = data(pairs | {"base_input": [[5]]}, match)
    assert expected_outputs(changed, new_records, slots=1)["Mbpp/601"].outputs[0] == (5, [5.0], {5: {5}})
    no_sandbox()
    path, records = data(pairs, match)
    assert expected_outputs(path, records, slots=1) == both
    assert "damaged" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("[1.0]", "[1.5]"),
        lambda text: "[]",
        lambda text: json.dumps({"content": {}}),
    ],
    ids=["cut off", "another value", "another thing", "no checksum"],
)
def test_a_damaged_cache_is_not_trusted(data, capsys, damage):
    """An expected output that nobody computed; or a cache that has to be removed by hand."""
    path, records = data(mbpp_record(*SOLUTIONS["pairs"]))
    right = expected_outputs(path, records, slots=1)["Mbpp/601"].outputs
    cache = cache_path(path)
    before = cache.read_text()
    assert damage(before) != before
    cache.write_text(damage(before))
    assert expected_outputs(path, records, slots=1)["Mbpp/601"].outputs == right
    err = capsys.readouterr().err
    assert f"{cache}: damaged" in err
    assert "run again" in err
    assert recall(cache, "").keys() == {"Mbpp/601"}


@pytest.mark.parametrize(
    ("solution", "words"),
    [
        ("def f(x):\n    return 6 // x\n", "plus_input[0] (f(0)): ZeroDivisionError in line 2"),
        ("class Own: pass\ndef f(x):\n    return Own()\n", "base_input[0] (f(2)): it returns no plain data"),
        ("import missing\ndef f(x):\n    return x\n", "base_input[0] (f(2)): ModuleNotFoundError in line 1"),
        ("def f(x):\n    return 'x' * 10**6\n", "base_input: every output is too large for a test"),
    ],
)
def test_a_reference_that_fails(data, solution, words):
    """A failure taken for an output, told without task and input, or remembered."""
    path, records = data(mbpp_record(601, "f", solution, [[2], [3]], [[0]]))
    with pytest.raises(ValueError, match="--skip-broken") as caught:
        expected_outputs(path, records, slots=1)
    assert str(caught.value).startswith(f"problem Mbpp/601: its own reference fails {words}")
    assert "\n" not in str(caught.value)
    assert not cache_path(path).exists()


def test_a_reference_that_fails_can_be_left_out(data, capsys):
    """One wrong task that stops a whole set in spite of --skip-broken, vanishes without a word, or costs what the
    others have returned."""
    good, bad = mbpp_record(*SOLUTIONS["pairs"]), mbpp_record(602, "f", "def f(x):\n    return 6 // x\n", [[0]], [])
    path, records = data(good, bad)
    with pytest.raises(ValueError, match="^problem Mbpp/602: "):
        expected_outputs(path, records, slots=1)
    assert recall(cache_path(path), "").keys() == {"Mbpp/601"}
    assert expected_outputs(path, records, slots=1, skip_broken=True).keys() == {"Mbpp/601"}
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert line.endswith("Mbpp/602: its own reference fails base_input[0] (f(0)): ZeroDivisionError in line 2")
    with pytest.raises(ValueError, match="no problem is left"):
        expected_outputs(path, records[1:], slots=1, skip_broken=True)


def test_a_cache_that_cannot_be_written(data, tmp_path, monkeypatch, capsys):
    """Outputs lost, after minutes, for want of a directory to remember them in."""
    path, records = data(mbpp_record(*SOLUTIONS["pairs"]))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CODELADDER_CACHE", str(tmp_path / "file" / "cache"))
    assert len(expected_outputs(path, records, slots=1)["Mbpp/601"].outputs) == 3
    assert "not remembered" in capsys.readouterr().err
