"""The evaluation: figures made of hand-written outcomes, and the whole command on the embedded model."""

import dataclasses
import json
from dataclasses import replace

import pytest

from data.problems import Problem
from data.sets.registry import note
from experiments import eval
from experiments.report.results import make_results, read_results, to_lines
from experiments.report.summary import format_cell, format_table, summarize_splits, to_text
from rl.rollout import Rollout
from sandbox import Stage, Task, Verdict
from sandbox.outcome import lost


def answer(task_id, words, sample=0, tokens=4, finish="eos"):
    """A judged answer, of which each test went as its letter says: passed, wrong."""
    tests = [{"p": "passed", "w": "wrong"}[word] for word in words]
    passed = tests.count("passed")
    stage = Stage.PASSED if passed == len(tests) else Stage.PARTIAL if passed else Stage.OUTPUT
    error = None if stage is Stage.PASSED else "AssertionError"
    verdicts = tuple(Verdict(word) for word in tests)
    outcome = replace(lost(Task("", ("",)), ""), stage=stage, tests=verdicts, error_type=error)
    findings = {"style": {"bug": passed}, "security": {"HIGH": 1}}
    rollout = Rollout(task_id, sample, [], [5] * tokens, [], finish, "text")
    rollout.outcome, rollout.findings = outcome, findings
    return rollout


def problem(task_id, **fields):
    return Problem(task_id, "", "", ("assert f()",) * 4, "f", split="test", **fields)


def test_base_and_plus_are_apart():
    """The extra tests counted as base tests, the last ones taken for the first, or a pass of one counted as both."""
    problems = [problem(f"Mbpp/{i}", base_tests=2) for i in (11, 12, 601)]
    greedy = [answer("Mbpp/11", "pppp"), answer("Mbpp/12", "ppwp"), answer("Mbpp/601", "wwpp")]
    sampled = [answer(r.prompt_id, words, i) for r in greedy for i, words in enumerate(["ppww", "wppp", "pppp"])]
    summary = summarize_splits(problems, greedy, sampled, "test")["test"]
    assert summary["greedy_pass@1"] == pytest.approx(1 / 3)
    assert summary["base/greedy_pass@1"] == pytest.approx(2 / 3)
    assert summary["pass@1"] == pytest.approx(1 / 3)
    assert summary["base/pass@1"] == pytest.approx(2 / 3)
    assert summary["base/pass@2"] == pytest.approx(1.0)  # 1 of 3 fails: no pair of failures
    results = make_results(problems, greedy, sampled)
    assert [(r.greedy, r.base_greedy, r.c, r.base_c, r.n) for r in results] == [
        (True, True, 1, 2, 3),
        (False, True, 1, 2, 3),
        (False, False, 1, 2, 3),
    ]
    assert "base/: on the benchmark's own tests" in to_text({"test": summary}, [1])
    text = note("mbppplus", [*problems[:2], dataclasses.replace(problems[2], split="train")])
    assert "1 have ids that MBPP trains on (601 to 974), and 2 ids of its test split" in text
    plain = summarize_splits([problem(1)], [answer(1, "pppp")], [], "test")["test"]
    assert not any(name.startswith("base/") for name in plain)
    assert "base/" not in to_text({"test": plain}, [1])
    assert note("mbpp", [problem(11)]) == note("humanevalplus", [problem("HumanEval/11", base_tests=2)]) == ""


def test_figures_by_hand():
    """Shares of the wrong answers (greedy with sampled), findings summed in place of averaged, or pass@k of too few."""
    problems = [problem(1, tier="easy"), problem(2, tier="hard")]
    greedy = [answer(1, "pppp", tokens=9), answer(2, "wwww", tokens=9)]
    sampled = [answer(1, "pppp"), answer(1, "wwww", 1), answer(1, "ppww", 2)]
    sampled += [answer(2, "wwww", i, tokens=6, finish="length") for i in range(3)]
    splits = summarize_splits(problems, greedy, sampled, "test", [1, 3, 4])
    assert list(splits) == ["test", "test/easy", "test/hard"]
    summary = splits["test"]
    assert (summary["problems"], summary["greedy_pass@1"]) == (2, 0.5)
    assert (summary["pass@1"], summary["pass@3"]) == pytest.approx((1 / 6, 1 / 2))
    assert "pass@4" not in summary
    assert {name: share for name, share in summary["stages"].items() if share} == pytest.approx(
        {"OUTPUT": 4 / 6, "PARTIAL": 1 / 6, "PASSED": 1 / 6}
    )
    assert summary["error_types"] == pytest.approx({"AssertionError": 5 / 6, "none": 1 / 6})
    assert summary["findings"]["style"]["bug"] == pytest.approx((4 + 0 + 2) / 6)
    assert summary["findings"]["security"] == {"HIGH": 1.0}
    assert (summary["mean_length"], summary["length_unit"], summary["truncated"]) == (5.0, "tokens", 0.5)
    assert splits["test/easy"]["pass@1"] == pytest.approx(1 / 3)
    easy, hard = make_results(problems, greedy, sampled)
    assert (easy.stages, easy.error_types) == (
        {"PASSED": 1, "OUTPUT": 1, "PARTIAL": 1},
        {"none": 1, "AssertionError": 2},
    )
    assert (easy.mean_length, hard.mean_length) == (4.0, 6.0)


def test_tables_are_aligned_whatever_the_figures():
    """100.0 % or an interval up to it pushing a column out of line."""
    all_right = summarize_splits([problem(1)], [answer(1, "pppp")], [], "test")
    none = summarize_splits([problem(1)], [answer(1, "wwww")], [], "test")
    table = format_table({"before": none, "after": all_right}, ("greedy_pass@1",)).split("\n")
    assert len({row.index("[") for row in table[2:]}) == 1
    assert table[2].index("100.0 %") == table[0].index("after")
    assert len(format_cell(none["test"], "greedy_pass@1")) == len(format_cell(all_right["test"], "greedy_pass@1"))


def test_the_whole_command(tmp_path, capsys, few_problems):
    """Files that disagree with each other or with what was printed, or lines of --per-problem that cannot be read."""
    files = {name: tmp_path / name for name in ("json", "per-problem", "rollouts")}
    options = [part for name, path in files.items() for part in (f"--{name}", str(path))]
    command = ["--data", str(few_problems), "--n-samples", "3", "--k", "1,3", "--slots", "1", *options]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODELADDER_CACHE", str(tmp_path / "cache"))
        assert eval.main(command) == 0
    summary = json.loads(files["json"].read_text())["splits"]["test"]
    results = read_results(files["per-problem"])
    lines = [json.loads(line) for line in files["rollouts"].read_text().splitlines()]
    assert len(results) == summary["problems"]
    assert len(lines) == 4 * len(results)
    for mode, pick in (("greedy", lambda r: int(r.greedy)), ("sampled", lambda r: r.c)):
        passed = [line["prompt_id"] for line in lines if line["mode"] == mode and line["outcome"]["stage"] == "PASSED"]
        assert all(pick(result) == passed.count(task_id) for task_id, result in results.items())
    assert summary["pass@1"] == pytest.approx(sum(r.c for r in results.values()) / (3 * len(results)))
    assert summary["pass@3"] == pytest.approx(sum(r.c > 0 for r in results.values()) / len(results))
    assert to_lines(list(results.values())) == files["per-problem"].read_text()
    printed = capsys.readouterr().out
    assert f"pass@3         {100 * summary['pass@3']:5.1f} %" in printed
    assert f"mean length: {summary['mean_length']:.1f} tokens" in printed


def test_defaults_are_those_of_the_models_size(tmp_path):
    """A real model's answers cut off at the embedded one's 72 tokens, or a default in place of what was given."""
    (tmp_path / "s").write_text("")
    small, given = eval.read_options([]), eval.read_options(["--n-samples", "0", "--dtype", "bf16"])
    file = eval.read_options(["--samples", str(tmp_path / "s")])
    assert (small.n_samples, small.max_new_tokens, small.dtype, small.cpu_seconds) == (16, 72, "fp32", 1.0)
    assert (given.n_samples, given.max_new_tokens, given.dtype) == (0, 72, "bf16")
    assert (file.max_new_tokens, file.cpu_seconds) == (512, 3.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n-samples", "1", "--k", "2"], "--k 2: needs as many samples a problem, --n-samples gives 1"),
        (["--k", "1,,2"], "--k 1,,2: needs whole numbers"),
        (["--decoder", "statik"], "did you mean static"),
        (["--samples", "16"], "their number is --n-samples"),
        (["--samples", "absent.jsonl"], "--samples: no file 'absent.jsonl'"),
        (["--samples", "absent.jsonl", "--adapter", "x"], "no model or adapter is loaded"),
        (["--split", "prompt"], "--split: unknown split 'prompt'"),
        (["--max-new-tokens", "250"], "and the model's window has 256"),
        (["--max-prompt-tokens", "3"], "--max-prompt-tokens 3: embedded, test: the shortest prompt has"),
        (["--per-problem", "/no/such/directory/file"], "--per-problem /no/such/directory/file: its directory"),
        (["--json", "/"], "--json /: is a directory"),
        (["--from", "/no/such/file"], "--from /no/such/file: is for named sets"),
    ],
)
def test_bad_options_are_one_line(arguments, message, capsys):
    """A traceback, or an hour of sampling before the error."""
    with pytest.raises(SystemExit) as stopped:
        eval.main(arguments)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_broken_references_stop_the_command_or_are_left_out(tmp_path, capsys, monkeypatch):
    """--skip-broken without effect on the samples, or an evaluation on tests that nobody can pass."""
    monkeypatch.setenv("CODELADDER_CACHE", str(tmp_path / "cache"))
    code = "def f(x):\n    return x\n"
    tests = {1: "assert f(1) == 1", 2: "assert f(1) == 2"}
    data, samples = tmp_path / "set.jsonl", tmp_path / "samples.jsonl"
    records = [
        {"task_id": i, "text": "", "code": code, "test_list": [test], "split": "test"} for i, test in tests.items()
    ]
    data.write_text("".join(json.dumps(record) + "\n" for record in records))
    samples.write_text("".join(json.dumps({"task_id": i, "solution": code}) + "\n" for i in tests))
    command = ["--data", str(data), "--samples", str(samples), "--slots", "1"]
    with pytest.raises(SystemExit) as stopped:
        eval.main(command)
    assert stopped.value.code == 2
    assert "problem 2: its own reference fails test 1 (assert f(1) == 2): got 1" in capsys.readouterr().err
    assert eval.main([*command, "--skip-broken"]) == 0
    printed = capsys.readouterr()
    assert "left out: problem 2" in printed.err
    assert "greedy_pass@1  100.0 %" in printed.out
    assert "taken for the greedy answers" in printed.out
