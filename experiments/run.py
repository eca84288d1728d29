"""The main job: `python experiments/run.py --algo gspo --reward staged`.

Samples programs from a small language model, executes them against unit tests, rewards them, updates LoRA
weights, and compares pass@1 on held-out problems before and after. The run directory holds all results.
`python experiments/run.py --resume RUN` continues a run that was stopped, also by SIGKILL.
"""

import platform
import resource
import subprocess  # nosec B404: asks git for the commit
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy
import torch
import transformers

from experiments.inputs.memory import describe_memory
from experiments.inputs.policy import choose_device
from experiments.options import bad_input_is_one_line
from experiments.report.curves import draw_curves
from experiments.report.run_directory import RunDirectory
from experiments.report.summary import format_table
from experiments.rollouts.evaluate import CHUNK
from experiments.rollouts.judge import start_judges
from experiments.settings import ALGORITHMS, RunOptions, from_record, read_options
from experiments.setup import checked_directory, is_small, make_learner, make_policy, open_run_splits
from experiments.trainer import Progress, Trainer, read_progress, run_title
from rl.files.adapter import save_adapter
from rl.files.checkpoint import checkpoints
from rl.files.config import read_config, read_json

TABLE = ("greedy_pass@1", "pass@1", "pass@16")


def main(arguments: list[str] | None = None) -> int:
    options = read_options(arguments, __doc__.split("\n")[0], is_small)
    with bad_input_is_one_line("run.py"):
        directory = checkpoint = None
        if options.resume:
            directory, options = open_run(options.resume)
            summary = directory.read_json("summary.json")
            if not summary.get("interrupted", True):
                print_summary(options, summary)
                return 0  # the run is complete
            checkpoint = next(reversed(checkpoints(directory.path)), None)
            if checkpoint is not None and not summary.get("before"):
                raise ValueError(f"{directory.path / 'summary.json'}: before: missing, and cannot be measured any more")
        policy = make_policy(options)
        if options.dry_run:
            print(estimate_memory(options, policy))
            return 0
        out = directory.path if directory else checked_directory(options.out)
        splits, _, _ = open_run_splits(options, policy)
        learner = make_learner(options, policy, checkpoint)
        progress = Progress() if checkpoint is None else read_progress(checkpoint)
        judges = start_judges(options.slots, options.cpu_seconds, options.allow_weak_sandbox)
    with judges:
        with bad_input_is_one_line("run.py"):
            directory = directory or RunDirectory(out)
            directory.open(progress.sizes)
        return run(Trainer(options, policy, learner, splits, judges, directory, progress))


def open_run(path: str) -> tuple[RunDirectory, RunOptions]:
    """The run of a directory, locked, and its options. ValueError, one line, if it holds no run that can be read."""
    config = Path(path) / "config.json"
    if not config.is_file():
        raise ValueError(f"--resume {path}: no config.json there: not a run, or one that ended before it began")
    record = read_json(config)
    try:
        options = from_record(record)
    except ValueError as error:
        raise ValueError(f"{config}: {error}") from None
    options.out = path  # the directory may have been moved since
    return RunDirectory(Path(path)), options


def estimate_memory(options: RunOptions, policy) -> str:
    """The text of --dry-run: what the run will take of memory. The weights are not loaded."""
    _, prompt_tokens, answer_tokens = open_run_splits(options, policy)
    options, device = replace(options, max_new_tokens=answer_tokens), choose_device(options.device)
    return describe_memory(options, read_config(policy.directory), prompt_tokens, device, CHUNK)


def run(trainer: Trainer) -> int:
    """Evaluates, trains, evaluates. Whatever happens, the results so far are written. Exit status 130 after Ctrl-C."""
    options, learner, directory = trainer.options, trainer.learner, trainer.directory
    write_config(trainer)
    summary = {"before": None, "after": None, "interrupted": True} | directory.read_json("summary.json")
    try:
        if summary["before"] is None:
            summary["before"] = trainer.evaluate_test("before")
            directory.write_json("summary.json", summary)
        trainer.show_progress()
        ALGORITHMS[options.algo].train(learner, trainer.collect, trainer.log, options.algorithm)
        trainer.bar.close()
        summary["after"] = trainer.evaluate_test("after")
        summary["interrupted"] = False
    except KeyboardInterrupt:
        print(f"\ninterrupted after {len(directory.metrics)} steps", file=sys.stderr)
    finally:
        trainer.bar.close()
        save_adapter(learner.model, directory.path / "adapter", options.model)
        summary |= {
            "steps_done": len(directory.metrics),
            "best": trainer.progress.best,
            "seconds_total": trainer.seconds(),
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        directory.write_json("summary.json", summary)
        draw_curves(directory.path / "curves.png", directory.metrics, summary, run_title(options))
        directory.close()
    if summary["interrupted"]:
        return 130
    print_summary(options, summary)
    return 0


def write_config(trainer: Trainer) -> None:
    """config.json: the resolved options, commit and machine. A resume adds its step and machine."""
    machine = describe_machine(trainer.learner.model.device)
    config = trainer.directory.read_json("config.json")
    if config:
        config["resumed"] = [*config.get("resumed", []), {"step": trainer.learner.step, **machine}]
    else:
        config = asdict(trainer.options) | machine
    trainer.directory.write_json("config.json", config)


def describe_machine(device: torch.device) -> dict:
    """Versions, commit and device."""
    root = Path(__file__).parent.parent
    git = subprocess.run(  # nosec B603 B607: a fixed command
        ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "git_commit": git.stdout.strip() or None,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "numpy": numpy.__version__,
        },
        "device": device.type,
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "torch_threads": torch.get_num_threads(),
    }


def print_summary(options: RunOptions, summary: dict) -> None:
    print(format_table({"before": summary["before"], "after": summary["after"]}, TABLE))
    print(f"{options.out}: {summary['seconds_total']:.0f} s, {summary['peak_rss_mb']:.0f} MB")


if __name__ == "__main__":
    sys.exit(main())
