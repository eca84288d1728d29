"""A run that was killed goes on as if it had not been: to the last bit, whatever the algorithm."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from experiments import run
from experiments.inputs.policy import load_weights, open_policy
from rl.files.adapter import save_adapter
from rl.lora import add_lora, lora_parameters

pytestmark = pytest.mark.usefixtures("quick_runs")
ROOT = Path(__file__).parent.parent.parent
SMALL = (
    "--steps 6 --prompts 3 --eval-problems 3 --eval-samples 1 --eval-every 2 --checkpoint-every 3 "
    "--max-new-tokens 36 --microbatch-rows 8 --threads 1 --device cpu --data {problems}"
)
# Each with options whose state or randomness could be forgotten, and the line of metrics.jsonl after which it is
# killed: at the third the checkpoint is being written, before it there is none.
RUNS = {
    "grpo": (
        "--algo grpo --group-size 4 --kl-coef 0.05 --zero-spread resample --credit line --lr-schedule constant",
        4,
    ),
    "gspo": ("--algo gspo --group-size 4 --epochs 2 --old-log-probs recompute --importance-cap 2", 5),
    "rloo": ("--algo rloo --group-size 4 --kl-coef 0.02 --adapter {adapter} --reward binary@0:3->staged@3:", 4),
    "ppo": ("--algo ppo --group-size 4 --kl-coef 0.05 --kl-target 0.5 --target-kl 0.02", 5),
    "sft": ("--algo sft --prompts 8", 3),
    "early": ("--algo rloo --group-size 4 --kl-coef 0.02 --adapter {adapter} --reward binary@0:3->staged@3:", 1),
}
CLOCKS = ("seconds", "step_time", "tokens_per_second")
MEASURED = ("seconds", "cpu_seconds", "peak_bytes")  # of a program, by the sandbox

# Starts each run in a child, kills it once metrics.jsonl has as many lines as asked for, and prints, for each, the
# lines then and the processes below the killed one that are still there two seconds later.
KILLER = """
import json, os, signal, sys, time
from pathlib import Path
from experiments import run

def children(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(word) for word in (task / "children").read_text().split()]
    return found

def descendants(pid):
    return [p for child in children(pid) for p in (child, *descendants(child))]

def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False

for arguments, lines in json.loads(sys.argv[1]):
    metrics = Path(arguments[-1]) / "metrics.jsonl"
    child = os.fork()
    if child == 0:
        try:
            run.main(arguments)
        finally:
            os._exit(1)
    while not (metrics.is_file() and metrics.read_bytes().count(b"\\n") >= lines):
        assert os.waitpid(child, os.WNOHANG) == (0, 0), f"{arguments} ended by itself"
        time.sleep(0.001)
    below = descendants(child)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    done = metrics.read_bytes().count(b"\\n")
    deadline = time.monotonic() + 10
    while any(map(alive, below)) and time.monotonic() < deadline:
        time.sleep(0.01)
    print(json.dumps([done, len(below), [p for p in below if alive(p)]]), flush=True)
"""


@pytest.fixture(scope="module")
def started(few_problems, tmp_path_factory):
    """The killed runs, started in a process of their own, so that the others can be done meanwhile."""
    path = tmp_path_factory.mktemp("killed")
    make_adapter(path / "adapter")
    shutil.copy(few_problems, path / "problems.jsonl")
    commands = [(arguments(path, name), lines) for name, (_, lines) in RUNS.items()]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLER, json.dumps(commands)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    yield path, process
    if process.poll() is None:  # a test failed before it was waited for
        os.killpg(process.pid, signal.SIGKILL)  # and the run that it has started
    process.communicate()


@pytest.fixture(scope="module")
def whole(started, quick_runs, tmp_path_factory):
    """The same runs, not stopped."""
    path = tmp_path_factory.mktemp("whole")
    shutil.copytree(started[0] / "adapter", path / "adapter")
    shutil.copy(started[0] / "problems.jsonl", path)
    for name in RUNS:
        if name == "early":
            shutil.copytree(path / "rloo", path / name)
        else:
            assert run.main(arguments(path, name)) == 0
    return path


@pytest.fixture(scope="module")
def killed(started, whole):
    """Where the killed runs lie, as they were left, and what was seen of each."""
    path, process = started
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return path, dict(zip(RUNS, map(json.loads, output.splitlines()), strict=True))


def arguments(path, name):
    words = f"{SMALL} {RUNS[name][0]} --out {{out}}".split()
    names = {"problems": path / "problems.jsonl", "adapter": path / "adapter", "out": path / name}
    return [word.format(**names) for word in words]


def make_adapter(path):
    """An adapter of another rank than the default, as an earlier run could have left it."""
    policy = open_policy("data/tiny")
    load_weights(policy, "", "cpu", "fp32")
    model = policy.model
    add_lora(model, rank=3, alpha=3, targets=("q_proj", "down_proj"), seed=5)
    generator = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for parameter in lora_parameters(model):
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    save_adapter(model, path, "data/tiny")


def without_clocks(path):
    """The lines of metrics.jsonl, but for what a clock said; as text, where nan is equal to nan."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [json.dumps({k: v for k, v in line.items() if not any(c in k for c in CLOCKS)}) for line in lines]


def without_measures(path):
    """The lines of rollouts.jsonl, but for the time and memory that their programs took."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        record["outcome"] = {k: v for k, v in record["outcome"].items() if k not in MEASURED}
    return records


def files_of(path):
    """Every file below, but for the lock, which holds nothing."""
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file() and p.name != "lock"}


def copy_of(killed, name, tmp_path):
    """A killed run under another path: a run may be moved."""
    return shutil.copytree(killed[0] / name, tmp_path / "moved")


# the same to the last bit ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_ends_as_one_that_was_not_stopped(name, killed, whole, tmp_path):
    """A batch sampled twice or left out, a schedule that starts anew, a moment, a KL coefficient, a best-so-far, a
    count of tokens or a generator that a checkpoint forgets; and anything drawn from a clock, a hash or a shared
    generator, as the first steps are those of another process."""
    out, reference = copy_of(killed, name, tmp_path), whole / name
    lines, _, _ = killed[1][name]
    assert RUNS[name][1] <= lines < 6
    before = json.loads((out / "summary.json").read_text())["before"]
    for file in ("metrics.jsonl", "rollouts.jsonl"):  # as if it had been killed while writing
        with (out / file).open("a") as opened:
            opened.write('{"step": 5, "los')
    assert run.main(["--resume", str(out)]) == 0
    assert without_clocks(out / "metrics.jsonl") == without_clocks(reference / "metrics.jsonl")
    assert [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()] == list(range(6))
    assert without_measures(out / "rollouts.jsonl") == without_measures(reference / "rollouts.jsonl")
    left, expected = files_of(out), files_of(reference)
    assert left.keys() == expected.keys()
    for file in expected:
        if file.endswith(".safetensors") or file.endswith("adapter_config.json"):
            assert left[file] == expected[file], file
    for n in (3, 6):
        states = [json.loads(files[f"checkpoint-{n}/trainer_state.json"]) for files in (left, expected)]
        for state in states:
            del state["extra"]["seconds"], state["extra"]["sizes"]  # what a clock says is not always as long
        assert states[0] == states[1]
    summaries = [json.loads(files["summary.json"]) for files in (left, expected)]
    for key in ("before", "after", "best", "steps_done", "interrupted"):
        assert summaries[0][key] == summaries[1][key], key
    assert summaries[0]["before"] == before
    config = json.loads(left["config.json"])
    resumed = config.pop("resumed")
    original = json.loads(expected["config.json"])
    assert [entry["step"] for entry in resumed] == [3 if (killed[0] / name / "checkpoint-3").is_dir() else 0]
    assert {"git_commit", "versions", "device"} <= resumed[0].keys()
    assert all(config[key] == original[key] for key in original if key not in ("out", "adapter", "data"))


def test_a_killed_run_leaves_no_process(killed):
    """A judge that outlives the trainer, and its sandboxed programs with it."""
    for name, (_, below, left) in killed[1].items():
        assert below > 0, name
        assert left == [], name


def test_the_options_of_the_runs_did_something(whole):
    """Runs too tame to show what a resume forgets: no KL, one coefficient all along, no early stop, no second epoch."""
    steps = {
        name: [json.loads(line) for line in (whole / name / "metrics.jsonl").read_text().splitlines()] for name in RUNS
    }
    assert len({step["kl_coef"] for step in steps["ppo"]}) > 3
    assert any(step["kl"] > 0 for step in steps["grpo"])
    assert all("kl" in step for step in steps["rloo"])
    assert {step["optimizer_steps"] for step in steps["gspo"]} >= {4.0}
    assert all(len({step["learning_rate"] for step in steps[name]}) > 2 for name in RUNS)
    weights = [load_file(whole / name / "adapter" / "adapter_model.safetensors") for name in ("rloo", "gspo")]
    assert weights[0].keys() < weights[1].keys()
    trained = [(whole / name / "adapter" / "adapter_model.safetensors").read_bytes() for name in RUNS]
    assert len(set(trained)) == len(RUNS) - 1


def test_resuming_a_finished_run_changes_nothing(whole, capsys):
    """A seventh step of six, or an evaluation done anew."""
    before = files_of(whole / "gspo")
    assert run.main(["--resume", str(whole / "gspo")]) == 0
    assert files_of(whole / "gspo") == before
    assert "greedy_pass@1" in capsys.readouterr().out


# refused -----------------------------------------------------------------------------------------------------


def refused(arguments, capsys):
    """The one line on stderr; exit status 2."""
    with pytest.raises(SystemExit) as caught:
        run.main(arguments)
    error = capsys.readouterr().err
    assert caught.value.code == 2
    assert error.count("\n") == 1, error
    return error


def shorten(name):
    def damage(out):
        path = out / name
        path.write_bytes(path.read_bytes()[:40])

    return damage


def edit_config(change):
    def damage(out):
        config = json.loads((out / "config.json").read_text())
        change(config)
        (out / "config.json").write_text(json.dumps(config))

    return damage


def edit_state(change):
    def damage(out):
        path = out / "checkpoint-3" / "trainer_state.json"
        state = json.loads(path.read_text())
        change(state)
        path.write_text(json.dumps(state))

    return damage


def lose_a_moment(out):
    path = out / "checkpoint-3" / "optimizer.safetensors"
    tensors = load_file(path)
    del tensors["policy.0.exp_avg"]
    save_file(tensors, path)


DAMAGE = {
    "no config": (lambda out: (out / "config.json").unlink(), ["config.json"]),
    "config not JSON": (lambda out: (out / "config.json").write_text("{"), ["config.json", "not JSON"]),
    "config without an option": (edit_config(lambda c: c.pop("seed")), ["config.json", "seed"]),
    "config of no algorithm": (edit_config(lambda c: c.update(algo="ppq")), ["ppq"]),
    "config with steps of text": (edit_config(lambda c: c.update(steps="six")), ["steps"]),
    "metrics shortened": (shorten("metrics.jsonl"), ["metrics.jsonl", "40 bytes"]),
    "metrics gone": (lambda out: (out / "metrics.jsonl").unlink(), ["metrics.jsonl"]),
    "rollouts shortened": (shorten("rollouts.jsonl"), ["rollouts.jsonl", "40 bytes"]),
    "summary not JSON": (lambda out: (out / "summary.json").write_text("{"), ["summary.json"]),
    "summary empty": (lambda out: (out / "summary.json").write_text("{}"), ["summary.json"]),
    "summary gone": (lambda out: (out / "summary.json").unlink(), ["summary.json"]),
    "adapter gone": (lambda out: (out / "checkpoint-3" / "adapter_model.safetensors").unlink(), ["adapter_model"]),
    "state without a cursor": (edit_state(lambda s: s["extra"].pop("cursor")), ["trainer_state.json", "cursor"]),
    "moment gone": (lose_a_moment, ["optimizer.safetensors", "policy.0.exp_avg"]),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_run_is_refused_and_left_alone(name, killed, tmp_path, capsys):
    """A traceback, or files cut and written over before the damage is found."""
    damage, words = DAMAGE[name]
    out = copy_of(killed, "rloo", tmp_path)
    damage(out)
    before = files_of(out)
    error = refused(["--resume", str(out)], capsys)
    assert all(word in error for word in words), error
    assert files_of(out) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--steps 9", ["--steps", "--resume"]),
        ("--algo ppo", ["--algo", "--resume"]),
        ("--clip-low 0", ["--clip-low", "--resume"]),
        ("--kl-weighted", ["--kl-weighted", "--resume"]),
    ],
)
def test_resume_stands_alone(arguments, words, killed, tmp_path, capsys):
    """An option beside --resume that is ignored in silence, or half of a run done with another one."""
    out = copy_of(killed, "rloo", tmp_path)
    before = files_of(out)
    error = refused(["--resume", str(out), *arguments.split()], capsys)
    assert all(word in error for word in words), error
    assert files_of(out) == before


@pytest.mark.parametrize("where", ["nowhere", "empty", "file"])
def test_what_is_no_run_is_refused(where, tmp_path, capsys):
    """A new run started, or a directory made, where an old one was meant."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    error = refused(["--resume", str(tmp_path / where)], capsys)
    assert str(tmp_path / where) in error
    assert sorted(tmp_path.rglob("*")) == before


def test_two_processes_on_one_run(killed, tmp_path, capsys):
    """A second trainer that cuts the files which the first is writing."""
    out = copy_of(killed, "rloo", tmp_path)
    before = files_of(out)
    with (out / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        error = refused(["--resume", str(out)], capsys)
    assert "another process" in error
    assert files_of(out) == before
