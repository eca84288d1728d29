"""Completions from a file in place of a model: which problem each answers, what is executed, what is refused."""

import json

import pytest

from data.problems import Problem
from experiments import eval
from experiments.inputs.samples import read_samples

STUB = 'def double(x):\n    """Twice x."""\n'


def problem(task_id, **fields):
    return Problem(task_id, "", "", ("assert double(2) == 4",), "double", **fields)


def write(path, *records):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return path


def test_samples_stand_problem_by_problem_in_their_order(tmp_path):
    """Samples of one task in the order of another, or given to the task of their line's number."""
    lines = [(2, "a"), (7, "b"), (2, "c"), (7, "d"), (2, "e")]
    path = write(tmp_path / "s", *({"task_id": i, "solution": text} for i, text in lines))
    found = read_samples(path, [problem(7), problem(2)], [], "mbpp")
    told = [(r.prompt_id, r.sample, r.text) for r in found]
    assert told == [(7, 0, "b"), (7, 1, "d"), (2, 0, "a"), (2, 1, "c"), (2, 2, "e")]


def test_a_solution_is_whole_and_a_completion_goes_on_from_the_stub(tmp_path):
    """A stub executed twice, or not at all, or a fenced block cut out of a program that EvalPlus executes as it is."""
    records = [
        {"task_id": 1, "completion": "    return 2 * x\n"},
        {"task_id": 1, "solution": "```python\nx\n```"},
        {"task_id": 1, "solution": "whole", "completion": "not this"},
    ]
    found = read_samples(write(tmp_path / "s", *records), [problem(1, stub=STUB)], [], "humaneval")
    executed = [r.prefix + r.text[r.program[0] : r.program[1]] for r in found]
    assert executed == [STUB + "    return 2 * x\n", "```python\nx\n```", "whole"]


@pytest.mark.parametrize(
    ("own", "name", "given", "fits"),
    [
        (2, "mbpp", "Mbpp/2", True),
        (2, "/files/MBPP.jsonl", "Mbpp/2", True),
        (2, "mbpp", "2", True),
        ("Mbpp/2", "mbppplus", 2, True),
        ("Mbpp/2", "mbppplus", "mbpp/2", True),
        ("Mbpp/2", "mbppplus", "Mbpp/2", True),
        ("Mbpp/2", "mbppplus", "HumanEval/2", False),
        (2, "mbpp", "HumanEval/2", False),
        (2, "mbpp", "Mbpp/22", False),
        (2, "mbpp", 3, False),
    ],
)
def test_ids_match_with_and_without_the_prefix(tmp_path, own, name, given, fits):
    """EvalPlus's files refused for a prefix; or, worse, HumanEval's samples judged by MBPP's tests of that number."""
    path = write(tmp_path / "s", {"task_id": given, "solution": ""})
    if fits:
        assert [r.prompt_id for r in read_samples(path, [problem(own)], [], name)] == [own]
    else:
        with pytest.raises(ValueError, match=":1: task_id: .* is none of the problems of"):
            read_samples(path, [problem(own)], [], name)


def test_samples_of_problems_that_are_not_asked_for_are_left_out(tmp_path):
    """A file of a whole set refused for one split of it, or its other samples judged, too."""
    path = write(tmp_path / "s", *({"task_id": i, "solution": str(i)} for i in range(4)))
    found = read_samples(path, [problem(2)], [0, 1, 2, 3], "mbpp")
    assert [r.text for r in found] == ["2"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["{"], "s:1: not JSON"),
        (["[]"], "s:1: a sample is a JSON object, not list"),
        ([{"solution": ""}], "s:1: task_id: missing"),
        ([{"task_id": True, "solution": ""}], "s:1: task_id: needs int or str, got bool"),
        ([{"task_id": 1}], "s:1: solution: missing, and so is completion"),
        ([{"task_id": 1, "solution": None}], "s:1: solution: needs str, got NoneType"),
        ([{"task_id": 1, "solution": ""}, "", {"task_id": 9, "solution": ""}], "s:3: task_id: 9 is none"),
        ([{"task_id": 1, "solution": ""}], "no sample for 2 of 3 problems, the first of them 2"),
    ],
)
def test_bad_files_are_one_line(tmp_path, lines, message):
    """A traceback, or a task without samples counted as failed, or left out of the mean."""
    path = write(tmp_path / "s", *lines)
    with pytest.raises(ValueError, match="^[^\n]*$") as refused:
        read_samples(path, [problem(1), problem(2), problem(3)], [], "mbpp")
    assert message in str(refused.value)


def test_the_command_judges_a_file_and_loads_no_model(tmp_path, monkeypatch, capsys):
    """A model that is loaded for nothing, figures of other samples than the file's, or of each task's first one."""
    monkeypatch.setenv("CODELADDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(eval, "load_weights", None)
    right, wrong = "def double(x):\n    return 2 * x\n", "def double(x):\n    return x\n"
    records = [
        {"task_id": i, "text": "", "code": right, "test_list": ["assert double(2) == 4"], "split": "test"}
        for i in range(3)
    ]
    data = write(tmp_path / "set.jsonl", *records)
    answers = {0: [right, wrong], 1: [wrong, right], 2: [wrong, "double ="]}
    samples = write(
        tmp_path / "s", *({"task_id": str(i), "solution": text} for i, texts in answers.items() for text in texts)
    )
    out, lines = tmp_path / "out.json", tmp_path / "lines"
    command = ["--data", str(data), "--samples", str(samples), "--slots", "1"]
    assert eval.main([*command, "--json", str(out), "--per-problem", str(lines)]) == 0
    summary = json.loads(out.read_text())["splits"]["test"]
    assert (summary["pass@1"], summary["pass@2"]) == pytest.approx((2 / 6, 2 / 3))
    assert "greedy_pass@1" not in summary
    assert "truncated" not in summary
    assert summary["length_unit"] == "characters"
    assert summary["mean_length"] == pytest.approx((2 * len(right) + 3 * len(wrong) + len("double =")) / 6)
    found = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [(line["task_id"], line["n"], line["c"], line["greedy"]) for line in found] == [
        (0, 2, 1, None),
        (1, 2, 1, None),
        (2, 2, 0, None),
    ]
    assert found[2]["stages"] == {"OUTPUT": 1, "SYNTAX_ERROR": 1}
    assert found[2]["error_types"] == {"AssertionError": 1, "SyntaxError": 1}
    for wish, message in (("3", "needs as many samples a problem"), ("0", "whole numbers of at least 1")):
        with pytest.raises(SystemExit):
            eval.main([*command, "--k", wish])
        assert message in capsys.readouterr().err
