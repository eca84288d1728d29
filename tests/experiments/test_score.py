"""The command that explains the reward of one program."""

import json

import pytest

from data.sets.registry import load_problems
from experiments import score
from experiments.inputs.hub import EMBEDDED
from experiments.inputs.policy import open_policy
from experiments.rollouts.judge import start_judges

PROBLEM = load_problems("embedded", "train")[0]
FAILS = PROBLEM.code.rstrip().replace("return", "import os\n    return y +")


@pytest.fixture(scope="module")
def tools():
    with start_judges(1, 1.0, allow_weak=True) as judges:
        yield open_policy(EMBEDDED), judges


def explain(tools, text, **given):
    options = score.ScoreOptions(problem=PROBLEM.task_id, **given)
    return options, score.score(options, text, PROBLEM, *tools)


def test_the_whole_command(tmp_path, capsys, monkeypatch):
    """A command that prints something else than JSON, or another reward than the run would have given."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "answer.py").write_text(FAILS)
    arguments = ["answer.py", "--problem", str(PROBLEM.task_id), "--reward", "0.6*staged + 0.4*security", "--json"]
    assert score.main([*arguments, "--allow-weak-sandbox"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["total"] == pytest.approx(0.6 * 0.4 + 0.4)
    assert found["components"] == {"staged": pytest.approx(0.4), "security": 1.0}
    assert (found["stage"], found["error_type"], found["line"]) == ("RUNS", "NameError", 3)
    assert [test["verdict"] for test in found["tests"]] == ["error"] * len(PROBLEM.test_list)
    style = [(finding["rule"], finding["severity"]) for finding in found["findings"]["style"]]
    assert style == [("F401", "style"), ("F821", "error")]
    assert "".join(token["text"] for token in found["tokens"]) == FAILS
    assert sum(token["credit"] for token in found["tokens"]) == pytest.approx(-0.6 * 0.6)
    assert sum(span["value"] for span in found["spans"]) == pytest.approx(-0.6 * 0.6)
    assert list(tmp_path.iterdir()) == [tmp_path / "answer.py"]


def test_the_text_names_all_there_is(tools):
    """A finding, a test or a component that is left out, or the loss of a line that stands at another."""
    options, found = explain(tools, FAILS, reward="binary + 0.2*style if passed")
    shown = score.to_text(found, options, colour=False)
    for word in ("RUNS", "NameError, line 3", "F401", "F821", "binary", "style", "error", PROBLEM.test_list[0]):
        assert word in shown
    (charged,) = [line for line in shown.split("\n") if "-1.000" in line]
    assert charged.strip().startswith("-1.000    3 |     return y +")


def test_colour_is_brightest_at_the_largest_loss(tools):
    """Colours that are turned round, or that stay on to the end of the line."""
    options, found = explain(tools, FAILS, reward="dense", credit="dense")
    shown = score.to_text(found, options, colour=True)
    assert shown.count("\x1b[48;5;") == shown.count(score.PLAIN)
    for (first, last), credit in zip(found.rollout.token_ranges, found.credit, strict=True):
        if credit == min(found.credit) and "\n" not in FAILS[first:last]:
            assert f"\x1b[48;5;{score.REDS[-1]}m{FAILS[first:last]}{score.PLAIN}" in shown
    assert "\x1b" not in score.to_text(found, options, colour=False)


def test_executed_shows_shares(tools):
    """A line that no test took, shown as one that was learned from."""
    name = PROBLEM.entry_point
    text = f"def {name}(x):\n    if x is None:\n        return 1\n    return x"
    options, found = explain(tools, text, credit="executed")
    lines = score.to_text(found, options, colour=False).split("\n")  # a line break goes with the next indentation
    assert [line.split("|")[0].split() for line in lines[-4:]] == [
        ["1.00", "1"],
        ["1.00", "2"],
        ["0.25", "3"],
        ["1.00", "4"],
    ]


@pytest.mark.parametrize(
    "text", ["", "# nothing", "def f(:", "a\0b", "x = '\U0001f600é' +\r\n", "```python\nx = 1\n```\n"]
)
@pytest.mark.parametrize("credit", ["line", "dense", "executed"])
def test_any_text_can_be_explained(tools, text, credit):
    """A traceback in place of an explanation, for the very texts that need one."""
    options, found = explain(tools, text, reward="dense", credit=credit)
    assert "reward dense" in score.to_text(found, options, colour=True)
    json.dumps(score.to_json(found))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["file"]),
        (["nothing.py"], ["nothing.py", "No such file"]),
        (["."], [".", "directory"]),
        (["latin.py"], ["latin.py", "UTF-8"]),
        (["a.py"], ["--problem 0", "embedded"]),
        (["a.py", "--problem", "1", "--reward", "stagd"], ["--reward", "character 1", "staged"]),
        (["a.py", "--problem", "1", "--reward", "length(buffer=99)"], ["length: buffer 99"]),
        (["a.py", "--problem", "1", "--credit", "lines"], ["--credit", "did you mean line?"]),
        (["a.py", "--problem", "1", "--colour", "red"], ["--colour"]),
        (["a.py", "--problem", "1", "--data", "x.jsonl"], ["--data", "x.jsonl"]),
        (["a.py", "--problem", "1", "--rewards", "staged"], ["--rewards", "did you mean --reward?"]),
    ],
)
def test_bad_input_is_one_line(arguments, words, tmp_path, capsys, monkeypatch):
    """A traceback, or an exit status that scripts take for success."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "latin.py").write_bytes(b"x = '\xe9'\n")
    with pytest.raises(SystemExit) as error:
        score.main(arguments)
    assert error.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert all(word in captured.err for word in words), captured.err
