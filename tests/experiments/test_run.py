"""The real command on the embedded default, and what it says to bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments import run, setup
from experiments.eval import main as eval_main
from experiments.inputs.hub import checkpoint_path
from experiments.rollouts.sample import reference_rollouts
from experiments.settings import RunOptions, read_options

ROOT = Path(__file__).parent.parent.parent
SMALL = [
    "--steps",
    "2",
    "--prompts",
    "3",
    "--group-size",
    "4",
    "--eval-problems",
    "24",
    "--eval-samples",
    "2",
    "--threads",
    "1",
]
FILES = {"config.json", "metrics.jsonl", "rollouts.jsonl", "summary.json", "curves.png", "adapter", "lock"}


@pytest.fixture(scope="module")
def started(few_problems, tmp_path_factory):
    """Two runs of the main command, as a user would start them, side by side: of two steps, and of too many."""
    out = tmp_path_factory.mktemp("runs")
    few = [*SMALL, "--algo", "gspo", "--reward", "staged"]
    many = [*SMALL, "--steps", "500", "--eval-problems", "1", "--data", str(few_problems)]
    with start(out / "finished", few) as finished, start(out / "stopped", many) as stopped:
        yield out, finished, stopped
        stopped.kill()  # unless it has been stopped


def start(out, options):
    command = [sys.executable, "experiments/run.py", "--out", str(out), *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def stopped(started):
    """The run of too many steps, interrupted as soon as it has done two: its directory, exit status and stderr."""
    path, _, process = started
    metrics = path / "stopped" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.is_file() and metrics.read_text().count("\n") >= 2):
        assert time.monotonic() < deadline, "no two steps within two minutes"
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    return path / "stopped", process.returncode, errors


@pytest.fixture(scope="module")
def finished(started, stopped):
    """The run of two steps: its directory and what it printed. The other is interrupted first, lest it goes on."""
    path, process, _ = started
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return path / "finished", output


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_run_directory_is_complete(finished):
    """A run that ends without one of its files, or with one that cannot be read."""
    out, printed = finished
    assert {p.name for p in out.iterdir()} == FILES | {"best", "checkpoint-2"}
    config = json.loads((out / "config.json").read_text())
    assert config["algo"] == "gspo"
    assert config["algorithm"]["clip_low"] == 3e-4  # resolved, though not given
    assert "critic" not in config["algorithm"]  # GSPO has none
    assert {"git_commit", "versions", "device"} <= config.keys()
    assert "before" in printed
    assert "after" in printed


def test_metrics_of_a_run(finished):
    """Sampler and learner that disagree on the log-probabilities of the same tokens; a step that is not logged."""
    metrics = read_lines(finished[0] / "metrics.jsonl")
    assert [m["step"] for m in metrics] == [0, 1]
    for m in metrics:
        assert m["sampling/sampling_logp_difference/max"] <= 1e-4
        assert sum(
            m[f"stages/{name}"] for name in ("SYNTAX_ERROR", "PARSES", "RUNS", "OUTPUT", "PARTIAL", "PASSED")
        ) == pytest.approx(1)


def test_rollouts_of_a_run(finished):
    """Rollouts lost, rewards that do not follow from the stage, or advantages that do not sum to zero in a group."""
    rollouts = read_lines(finished[0] / "rollouts.jsonl")
    assert len(rollouts) == 2 * 3 * 4
    floor = {"SYNTAX_ERROR": 0.0, "PARSES": 0.2, "RUNS": 0.4, "OUTPUT": 0.6, "PARTIAL": 0.6, "PASSED": 0.6}
    for r in rollouts:
        outcome = r["outcome"]
        extra = 0.4 * outcome["passed"] / outcome["total"]
        assert r["reward"] == pytest.approx(floor[outcome["stage"]] + extra)
        assert r["components"] == {"staged": r["reward"]}
    for start in range(0, len(rollouts), 4):
        assert sum(r["advantage"] for r in rollouts[start : start + 4]) == pytest.approx(0, abs=1e-5)


def test_summary_of_a_run(finished):
    """A summary without intervals, without the unseen families, or without the time and memory that it took."""
    summary = json.loads((finished[0] / "summary.json").read_text())
    for when in ("before", "after"):
        for split in ("test", "test/unseen"):
            figures = summary[when][split]
            low, high = figures["greedy_pass@1_interval"]
            assert 0 <= low <= figures["greedy_pass@1"] <= high <= 1
            assert sum(figures["stages"].values()) == pytest.approx(1)
    assert summary["seconds_total"] > 0
    assert summary["peak_rss_mb"] > 100
    assert summary["interrupted"] is False


def test_adapter_of_a_run_is_evaluated(finished, tmp_path, capsys):
    """An adapter that eval.py cannot load, or that it loads without effect on the answers."""
    summary = tmp_path / "summary.json"
    arguments = [
        "--adapter",
        str(finished[0] / "adapter"),
        "--problems",
        "24",
        "--n-samples",
        "2",
        "--json",
        str(summary),
    ]
    assert eval_main([*arguments, "--threads", "1"]) == 0
    after = json.loads((finished[0] / "summary.json").read_text())["after"]["test"]
    assert json.loads(summary.read_text())["splits"]["test"] == after
    assert "greedy_pass@1" in capsys.readouterr().out


def test_interrupt_leaves_a_readable_run(stopped):
    """Ctrl-C that loses the metrics so far, or ends in a traceback."""
    out, status, errors = stopped
    metrics = out / "metrics.jsonl"
    assert status == 130
    assert "Traceback" not in errors
    assert {p.name for p in out.iterdir()} - {"best"} == FILES
    summary = json.loads((out / "summary.json").read_text())
    assert summary["interrupted"] is True
    assert summary["after"] is None
    assert (
        summary["steps_done"]
        == len(read_lines(metrics))
        == len({r["step"] for r in read_lines(out / "rollouts.jsonl")})
    )


@pytest.fixture
def spoiled(tmp_path):
    """Bad inputs of several kinds, as paths by name."""
    problems = tmp_path / "problems.jsonl"
    problems.write_text('{"task_id": 1}\n')
    empty = tmp_path / "empty-model"
    empty.mkdir()
    unsupported = tmp_path / "unsupported-model"
    unsupported.mkdir()
    (unsupported / "config.json").write_text('{"model_type": "gpt2"}')
    occupied = tmp_path / "occupied"
    occupied.mkdir()
    (occupied / "config.json").write_text("{}")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(
        '{"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}'
    )
    return {p.stem: str(p) for p in (problems, empty, unsupported, occupied, adapter)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--algo gsop", ["--algo", "gsop", "sft, reinforce, rloo, grpo, gspo, ppo", "did you mean gspo"]),
        ("--reward stages", ["--reward", "stages", "at character 1", "did you mean staged"]),
        ("--group-sise 4", ["--group-sise", "did you mean --group-size"]),
        ("--group-size 1", ["--group-size 1", "gspo", "at least 2"]),
        ("--gamma 0.9", ["--gamma", "gspo takes no such option", "ppo"]),
        ("--kl-coef 0.1 --kl-estimator k1", ["k1", "zero", "kl-in reward"]),
        ("--kl-coef 0.1 --reference {adapter}", ["adapter_model.safetensors"]),
        ("--resume {occupied}", ["config.json", "missing"]),
        ("--resume nowhere", ["--resume", "nowhere", "no config.json"]),
        ("--resume {occupied} --seed 1", ["--seed", "--resume"]),
        ("--steps 0", ["--steps 0", "at least 1"]),
        ("--steps many", ["--steps", "many"]),
        ("--lr nan", ["--lr nan"]),
        ("--lora-targets q_porj", ["--lora-targets", "did you mean q_proj"]),
        ("--model no-such-model", ["--model", "no-such-model", "data/tiny"]),
        ("--model {empty-model}", ["empty-model", "config.json"]),
        ("--model {unsupported-model}", ["unsupported-model", "model_type", "gpt2"]),
        ("--data {problems}", ["problems.jsonl:1", "text", "missing"]),
        ("--data nowhere.jsonl", ["nowhere.jsonl", "embedded"]),
        ("--adapter {adapter}", ["adapter_model.safetensors"]),
        ("--out {occupied}", ["--out", "occupied", "not empty"]),
        ("--data humaneval", ["--data humaneval", "no split 'train'", "it has test"]),
        ("--prompt chat", ["--prompt chat", "no chat template", "few-shot"]),
        ("--thinking", ["--thinking", "chat template", "docstring"]),
        ("--max-new-tokens 250", ["250 new ones", "window", "256"]),
        ("--max-prompt-tokens 3", ["--max-prompt-tokens 3", "the shortest prompt has"]),
        ("--device cuda", ["--device cuda", "--device cpu"]),
        ("--dry-run --dtype fp33", ["--dtype", "fp33", "fp32, bf16"]),
        ("--device gpu", ["--device", "gpu", "auto, cpu, cuda"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments, words, spoiled, few_problems, tmp_path, monkeypatch, capsys
):
    """A traceback, a wrong exit status, a default used in silence, or a run directory left half-written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    before = sorted(tmp_path.rglob("*"))
    given = arguments.format(**spoiled).split()
    if "--resume" not in given:  # which stands alone; the last --data counts
        given = ["--data", str(few_problems), *given]
    with pytest.raises(SystemExit) as caught:
        run.main(given)
    error = capsys.readouterr().err
    assert caught.value.code == 2
    assert error.count("\n") == 1, error
    assert all(word in error for word in words), error
    assert sorted(tmp_path.rglob("*")) == before


def test_a_model_of_a_hub_is_pinned_to_its_commit(monkeypatch):
    """A resumed run that goes on with other weights, since the repository has changed; a wrong option that is told
    after gigabytes have been downloaded; a real model trained with a small one's defaults."""
    tiny = checkpoint_path("data/tiny")
    asked = []
    monkeypatch.setattr(setup, "find_checkpoint", lambda name: asked.append(name) or (tiny, "c0ffee"))
    for name in ("owner/name", "owner/name@main"):
        options = RunOptions(model=name)
        assert setup.is_small(options) is True  # as wide as the embedded model
        assert options.model == "owner/name@c0ffee"
    monkeypatch.setattr(setup, "SMALL", 64)
    options = read_options(["--model", "owner/name"], "", setup.is_small)
    assert (options.model, options.dtype) == ("owner/name@c0ffee", "bf16")
    asked.clear()
    for wrong in (["--steps", "0"], ["--kl-weighted"], ["--reward", "stages"]):
        with pytest.raises(SystemExit):
            read_options(["--model", "owner/name", *wrong], "", setup.is_small)
    assert asked == []
    monkeypatch.setattr(setup, "find_checkpoint", lambda name: (tiny, ""))
    options = RunOptions()
    setup.is_small(options)
    assert options.model == "data/tiny"


def test_solutions_beyond_the_window_are_left_out_and_counted(few_problems, tmp_path, capsys):
    """SFT on positions that the model has never seen; solutions that vanish without a word."""
    path = tmp_path / "mine.jsonl"
    long = {"task_id": "long", "text": "Add.", "test_list": ["assert f(1) == 1"], "split": "train"}
    long["code"] = "def f(x):\n" + "".join(f"    y{i} = x + {i}\n" for i in range(100)) + "    return x\n"
    path.write_text(few_problems.read_text() + json.dumps(long) + "\n")

    def opened(algo):
        options = read_options(["--algo", algo, "--data", str(path)], "", setup.is_small)
        policy = setup.make_policy(options)
        return options, policy, *setup.open_run_splits(options, policy)

    options, policy, splits, prompt, answer = opened("sft")
    assert len(splits["train"]) == len(opened("grpo")[2]["train"]) - 1
    assert "long" not in {problem.task_id for problem in splits["train"]}
    assert "left out 1 of" in capsys.readouterr().err
    assert prompt + answer < 256
    tokens = [len(r.completion) for r in reference_rollouts(policy, splits["train"], "code")]
    assert answer == max(options.max_new_tokens, *tokens)


def test_a_dry_run_tells_the_memory_and_leaves_nothing(few_problems, tmp_path, monkeypatch, capsys):
    """An estimate that starts the run, or makes its directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(setup, "load_weights", None)  # would not survive a call
    assert run.main(["--dry-run", "--data", str(few_problems)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("peak ") for line in lines)
    assert any(line.startswith("cpu has left") for line in lines)
    assert list(tmp_path.iterdir()) == []


def test_weak_sandbox_is_refused_unless_allowed(few_problems, tmp_path, monkeypatch, capsys):
    """Training that starts without a word where nothing keeps a program from the trainer's files."""
    monkeypatch.setattr("sandbox.confine.layers.missing_minimum", lambda status: ["resource limits"])
    monkeypatch.setattr(run, "draw_curves", lambda *_: None)
    few = [*SMALL, "--data", str(few_problems), "--steps", "1", "--eval-every", "0"]
    arguments = [*few, "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as caught:
        run.main(arguments)
    error = capsys.readouterr().err
    assert caught.value.code == 2
    assert error.count("\n") == 1
    assert all(word in error for word in ("resource limits", "python -m sandbox doctor", "--allow-weak-sandbox"))
    assert not (tmp_path / "run").exists()
    assert run.main([*arguments, "--allow-weak-sandbox"]) == 0


def test_help_lists_the_options(capsys):
    """An option without a line of help."""
    with pytest.raises(SystemExit):
        run.main(["--help"])
    text = capsys.readouterr().out
    for name in (
        "--model",
        "--data",
        "--algo",
        "--reward",
        "--steps",
        "--group-size",
        "--lr",
        "--seed",
        "--device",
        "--out",
    ):
        assert name in text
    assert "training:" in text
