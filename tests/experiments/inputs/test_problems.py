"""A set as a command gets it: fetched where it is missing, verified, split, its prompts no longer than asked."""

import json
from pathlib import Path

import pytest

from data.sets.registry import SOURCES
from experiments.inputs import problems as problem_sets
from experiments.inputs.hub import EMBEDDED, checkpoint_path
from experiments.inputs.policy import open_policy
from experiments.inputs.problems import fit_prompts, ids_of, open_problems, read_splits, shots


def record(task_id, split="train", test="assert f(1) == 1"):
    code = "def f(x):\n    return x\n"
    return {"task_id": task_id, "text": "Return it.", "code": code, "test_list": [test], "split": split}


def mbpp_record(task_id):
    return record(task_id) | {"test_setup_code": "", "challenge_test_list": []}


def write(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CODELADDER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_missing_set_is_fetched_and_a_present_one_is_not(cache, monkeypatch, capsys):
    """A first run that ends with a word about another command, or each run that downloads the set again."""
    fetched = []

    def fetch(name):
        fetched.append(name)
        cache.mkdir(exist_ok=True)
        write(cache / SOURCES[name].files[0].name, [mbpp_record(601), mbpp_record(11)])

    monkeypatch.setattr(problem_sets, "fetch", fetch)
    for _ in range(2):
        found = open_problems("mbpp", ("train", "test"))
        assert {split: [p.task_id for p in problems] for split, problems in found.items()} == {
            "train": [601],
            "test": [11],
        }
    assert fetched == ["mbpp"]
    assert "CC BY 4.0" in capsys.readouterr().err
    open_problems("mbpp-stdin", ("train",))  # made of the same file
    assert fetched == ["mbpp"]


def test_embedded_sets_are_not_run_again(monkeypatch):
    """Three thousand references before each run of the default."""
    monkeypatch.setattr(problem_sets, "check_references", None)  # would not survive a call
    for name in ("embedded", "security", "embedded-stdin"):
        assert open_problems(name, ("test",))["test"]


def test_a_broken_problem_is_told_or_left_out_of_its_own_split(tmp_path):
    """A file of one's own whose mistakes are found in the curves; or a problem left out of the wrong split."""
    path = write(
        tmp_path / "mine.jsonl",
        [record(1), record(2, test="assert f(1) == 2"), record(3, "test"), record(4, "test", "assert f(0) == 1")],
    )
    with pytest.raises(ValueError, match="^problem 2: .*--skip-broken"):
        open_problems(path, ("train", "test"))
    found = open_problems(path, ("train", "test"), skip_broken=True)
    assert {split: [p.task_id for p in problems] for split, problems in found.items()} == {"train": [1], "test": [3]}


def test_a_split_without_a_sound_problem_is_an_error(tmp_path):
    """An evaluation of nothing, which divides by zero at its end."""
    path = write(tmp_path / "mine.jsonl", [record(1), record(2, "test", "assert f(1) == 2")])
    with pytest.raises(ValueError, match="no problem of test is left"):
        open_problems(path, ("train", "test"), skip_broken=True)


def test_few_shot_prompts_of_mbpp_show_its_own_examples(tmp_path):
    """Examples from the test split, or MBPP's examples in another set's prompts."""
    path = write(tmp_path / "mbpp.jsonl", [mbpp_record(number) for number in (1, 2, 3, 4, 5, 11, 601)])
    assert [problem.task_id for problem in shots("mbpp", path)] == [2, 3, 4]
    assert [problem.task_id for problem in shots("mbpp-stdin", path)] == [2, 3, 4]
    assert shots("embedded") == shots(path) == []


def test_expected_outputs_reach_the_problems_of_a_split(tmp_path):
    """EvalPlus's sets without tests, or with problems of another split."""
    plus = {
        "prompt": '"""\nReturn the double.\nassert double(1) == 2\n"""\n',
        "entry_point": "double",
        "canonical_solution": "\ndef double(x):\n    return 2 * x\n",
        "base_input": [[1], [2]],
        "atol": 0,
        "plus_input": [[5]],
        "contract": "",
        "assertion": "assert double(1) == 2",
    }
    path = tmp_path / "plus.jsonl"
    write(path, [plus | {"task_id": "Mbpp/11"}, plus | {"task_id": "Mbpp/601"}])
    (problem,) = read_splits("mbppplus", ["test"], path, 1, False)["test"]
    assert problem.task_id == "Mbpp/11"
    assert problem.base_tests == 2
    assert [test.replace("double", "f") for test in problem.test_list] == [
        "assert f(1) == 2",
        "assert f(2) == 4",
        "assert f(5) == 10",
    ]


def test_what_is_left_out_of_evalplus_sets_is_told_once(tmp_path, capsys):
    """Inputs or tasks that vanish without a word, or with one for each split; or --skip-broken that stops nevertheless
    where a reference fails before there is a test."""
    names = ("task_id", "canonical_solution", "base_input", "plus_input")
    tasks = [
        ("Mbpp/11", "def f(n):\n    return 'x' * n\n", [[1]], [[10**6], [2]]),
        ("Mbpp/12", "def f(n):\n    return 1 // n\n", [[1]], [[0]]),
        ("Mbpp/601", "def f(n):\n    return n\n", [[1]], []),
    ]
    shared = {"prompt": '"""\nDo.\nassert f(1)\n"""\n', "entry_point": "f", "atol": 0}
    path = write(tmp_path / "plus.jsonl", [shared | dict(zip(names, task, strict=True)) for task in tasks])
    with pytest.raises(ValueError, match=r"^problem Mbpp/12: .*plus_input\[0\] .*--skip-broken"):
        open_problems("mbppplus", ("train", "test"), given=path, slots=1)
    capsys.readouterr()
    found = open_problems("mbppplus", ("train", "test"), given=path, slots=1, skip_broken=True)
    assert {split: [(p.task_id, len(p.test_list)) for p in problems] for split, problems in found.items()} == {
        "train": [("Mbpp/601", 1)],
        "test": [("Mbpp/11", 2)],
    }
    lines = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert [line.count("problem Mbpp/12: ") for line in lines] == [1, 0]
    assert lines[1] == "mbppplus: left out 1 of 4 inputs, whose outputs are too large for a test: 1 of Mbpp/11"
    assert ids_of("mbppplus", Path(path)) == ["Mbpp/11", "Mbpp/12", "Mbpp/601"]


def test_longer_prompts_are_left_out_and_counted(capsys):
    """Problems that vanish without a word, a limit that is one too strict, or a run on none."""
    problems = ["a", "b", "c"]
    assert fit_prompts(problems, [3, 5, 4], 0, "mine") == (problems, 5)
    assert fit_prompts(problems, [3, 5, 4], 5, "mine") == (problems, 5)
    assert capsys.readouterr().err == ""
    assert fit_prompts(problems, [3, 5, 4], 4, "mine") == (["a", "c"], 4)
    assert "mine: left out 1 of 3" in capsys.readouterr().err
    with pytest.raises(ValueError, match="--max-prompt-tokens 2: mine: the shortest prompt has 3"):
        fit_prompts(problems, [3, 5, 4], 2, "mine")


def test_the_tokenizer_opens_without_the_weights(tmp_path):
    """A dry run of a model that is larger than memory, which has to load it to count its prompts."""
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((checkpoint_path(EMBEDDED) / name).read_bytes())
    policy = open_policy(str(tmp_path))
    assert policy.form.style == "docstring"
    assert policy.tokenizer("x = 1").input_ids
