"""The main job: `python experiments/run.py --algo gspo --reward staged`.

Samples programs from a small language model, executes them against unit tests, rewards them, updates LoRA
weights, and compares pass@1 on held-out problems before and after. All it learns is in the run directory.
A run that was stopped, however roughly, goes on with `python experiments/run.py --resume RUN`.
"""

import platform
import random
import resource
import subprocess  # nosec B404: asks git for the commit
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path

from experiments import threads  # first: it must come before torch

# isort: split
import numpy
import torch
import transformers

from data.problems import Problem
from data.prompts import Asking, write_answer
from experiments.eval import CHUNK
from experiments.inputs.hub import find_checkpoint
from experiments.inputs.memory import describe_memory
from experiments.inputs.policy import (
    SOLUTIONS,
    Policy,
    choose_device,
    encode_answer,
    encode_prompts,
    load_policy,
    open_tokenizer,
)
from experiments.inputs.problems import fit_prompts, open_problems, shots
from experiments.options import bad_input_is_one_line, checkpoint_path, flag_of, parse
from experiments.report.curves import draw_curves
from experiments.report.run_directory import RunDirectory
from experiments.report.summary import format_table
from experiments.rollouts.judge import start_referee
from experiments.settings import ALGORITHMS, RunOptions, lora_targets, own_default, resolve, validate
from experiments.trainer import Training, read_extra
from rl.critic import Critic
from rl.files.checkpoint import checkpoints, restore_checkpoint
from rl.files.config import check_window, read_config, read_json
from rl.learner import Learner, Settings
from rl.lora import add_lora, load_adapter, save_adapter, share_base
from rl.model import Decoder

TABLE = ("greedy_pass@1", "pass@1", "pass@16")


def describe_machine(device: torch.device) -> dict:
    """Versions, commit and device, for config.json."""
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


def open_run(given: RunOptions) -> tuple[RunDirectory, RunOptions]:
    """The run that --resume names, locked, and its options. ValueError, one line, for a directory that holds no run,
    for one that cannot be read, and for options given beside it."""
    for item in fields(RunOptions):
        if item.name != "resume" and getattr(given, item.name) != item.default:
            flag = flag_of(item.name)
            raise ValueError(f"{flag}: --resume takes every option from the run; give it alone")
    path = Path(given.resume)
    if not (path / "config.json").is_file():
        raise ValueError(f"--resume {path}: no config.json there: not a run, or one that ended before it began")
    raw = read_json(path / "config.json")
    names = [item.name for item in fields(RunOptions)]
    if missing := [name for name in names if name not in raw]:
        raise ValueError(f"{path / 'config.json'}: {missing[0]}: missing; was it written by another version?")
    options = RunOptions(**{name: raw[name] for name in names})
    try:
        validate(options)
    except ValueError as error:
        raise ValueError(f"{path / 'config.json'}: {error}") from None
    options.out = given.resume  # wherever the directory has been moved to since
    return RunDirectory(path), options


def pin_model(options: RunOptions) -> bool:
    """Finds the checkpoint, writes the commit of one from a hub into the options, so that a resumed run starts from the
    same weights, and returns whether the model is small. ValueError, one line."""
    if not checkpoint_path(options.model).is_dir():
        resolve(replace(options), small=False)  # a wrong option is better told before a download than after it
    path, commit = find_checkpoint(options.model)
    if commit:
        options.model = f"{options.model.partition('@')[0]}@{commit}"
    return read_config(path).hidden_size <= threads.SMALL


def seed_everything(seed: int) -> None:
    """The global generators. Nothing here draws from them (each rollout has its own); what a reader adds may."""
    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed % 2**63)


def load_everything(options: RunOptions, checkpoint: Path | None) -> tuple[dict[str, list[Problem]], Policy, Learner]:
    """Problems, policy and learner, new or as the checkpoint has them. ValueError, one line, for what does not fit."""
    splits, _, _ = load_splits(options)
    adapter = options.adapter if checkpoint is None else str(checkpoint)
    policy = load_policy(
        options.model, adapter, options.device, options.dtype, decoder=options.decoder, **how_to_ask(options)
    )
    threads.use(options.threads, policy.model.config.hidden_size)
    if not adapter:
        add_lora(policy.model, options.lora_rank, options.lora_alpha, lora_targets(options), options.seed)
    critic = None
    if options.critic:
        critic = Critic(policy.model, options.critic, options.lora_rank, options.lora_alpha, options.seed)
    names = {item.name for item in fields(Settings)}
    settings = {name: value for name, value in asdict(options).items() if name in names and value is not None}
    learner = Learner(policy.model, Settings(**settings), make_reference(options, policy.model), critic)
    if checkpoint is not None:
        restore_checkpoint(checkpoint, learner)
    return splits, policy, learner


def load_splits(options: RunOptions) -> tuple[dict[str, list[Problem]], int, int]:
    """The problems, less those that are too long, and the most tokens of a prompt and of an answer to come.

    Before the weights, as only the tokenizer is needed for that, and what does not fit into the window is better told
    early. ValueError, one line.
    """
    path, _ = find_checkpoint(options.model)
    splits = open_problems(
        options.data,
        ("train", "valid", "test"),
        given=options.from_,
        skip_broken=options.skip_broken,
        slots=options.slots,
        cpu_seconds=options.cpu_seconds,
        allow_weak=options.allow_weak_sandbox,
    )
    for split in ("valid", "test"):
        splits[split] = splits[split][: options.eval_problems or None]
    tokenizer, asking = open_tokenizer(path, **how_to_ask(options))
    longest = 0
    for split, problems in splits.items():
        lengths = [len(prompt) for prompt in encode_prompts(tokenizer, problems, asking)]
        splits[split], most = fit_prompts(problems, lengths, options.max_prompt_tokens, f"{options.data}, {split}")
        longest = max(longest, most)
    window, budget = read_config(path), options.max_new_tokens
    try:
        check_window(window, longest, budget)
    except ValueError as error:
        raise ValueError(f"--data {options.data}: {error}") from None
    if options.solutions:
        check_solutions(options, splits["train"])
        splits["train"], most = fit_solutions(
            options, splits["train"], tokenizer, asking, window.max_position_embeddings
        )
        budget = max(budget, most)
    return splits, longest, budget


def fit_solutions(
    options: RunOptions, problems: list[Problem], tokenizer, asking: Asking, window: int
) -> tuple[list[Problem], int]:
    """The problems whose prompt and solutions fit into the window, and the most tokens of a solution, its end of
    sequence included; the others are counted on stderr. ValueError where none is left."""
    fitting, longest = [], 0
    for problem, prompt in zip(problems, encode_prompts(tokenizer, problems, asking), strict=True):
        texts = [write_answer(problem, getattr(problem, name), asking) for name in SOLUTIONS[options.solutions]]
        tokens = 1 + max(len(encode_answer(tokenizer, text)) for text in texts)
        if len(prompt) + tokens <= window:
            fitting.append(problem)
            longest = max(longest, tokens)
    if not fitting:
        raise ValueError(f"--data {options.data}: no solution fits into the model's window of {window} tokens")
    if len(fitting) < len(problems):
        gone = f"{len(problems) - len(fitting)} of {len(problems)}"
        print(
            f"{options.data}: left out {gone}, whose solutions do not fit into the window of {window}", file=sys.stderr
        )
    return fitting, longest


def dry_run(options: RunOptions) -> str:
    """What the run will take of memory. Only the tokenizer is loaded, to know how long the prompts are."""
    _, prompt_tokens, answer_tokens = load_splits(options)
    path, _ = find_checkpoint(options.model)
    options, device = replace(options, max_new_tokens=answer_tokens), choose_device(options.device)
    return describe_memory(options, read_config(path), prompt_tokens, device, CHUNK)


def how_to_ask(options: RunOptions) -> dict:
    """The options about prompts, as policy.py takes them."""
    return {
        "prompt": options.prompt,
        "thinking": options.thinking,
        "extract": options.extract,
        "stop": options.stop,
        "shots": shots(options.data, options.from_),
    }


def check_solutions(options: RunOptions, problems: list[Problem]) -> None:
    """ValueError for a problem that has not every solution that is to be learned."""
    for problem in problems:
        for name in SOLUTIONS[options.solutions]:
            if not getattr(problem, name):
                raise ValueError(
                    f"--solutions {options.solutions}: {options.data}: task_id {problem.task_id} has no `{name}`"
                )


def make_reference(options: RunOptions, model: Decoder) -> Decoder | None:
    """The policy that the KL holds to: as this one started, its base, or an adapter's. None where there is no KL."""
    if not options.kl_coef:
        return None
    reference = share_base(model)
    adapter = {"start": options.adapter, "base": ""}.get(options.reference, options.reference)
    if adapter:
        load_adapter(reference, adapter)
    return reference.requires_grad_(False)


def main(arguments: list[str] | None = None) -> int:
    options = parse(RunOptions, arguments, "run.py", __doc__.split("\n")[0], own_default)
    with bad_input_is_one_line("run.py"):
        directory = checkpoint = None
        if options.resume:
            directory, options = open_run(options)
            summary = directory.read_json("summary.json")
            if not summary.get("interrupted", True):
                print_summary(options, summary)
                return 0  # nothing is left to do
            checkpoint = next(reversed(checkpoints(directory.path)), None)
            if checkpoint is not None and not summary.get("before"):
                raise ValueError(
                    f"{directory.path / 'summary.json'}: before: missing, and it can't be measured any more"
                )
        else:
            resolve(options, pin_model(options))
            if options.dry_run:
                print(dry_run(options))
                return 0
            out = Path(options.out)
            if out.exists() and (not out.is_dir() or any(out.iterdir())):
                raise ValueError(f"--out {options.out}: exists already and is not empty; --resume goes on with a run")
        seed_everything(options.seed)
        splits, policy, learner = load_everything(options, checkpoint)
        state = {} if checkpoint is None else read_extra(checkpoint)
        referee = start_referee(options.slots, options.cpu_seconds, options.allow_weak_sandbox)
    with referee:
        with bad_input_is_one_line("run.py"):
            directory = directory or RunDirectory(Path(options.out))
            directory.open(state.get("sizes", {}))
        training = Training(options, policy, learner, splits, referee, directory)
        if state:
            training.restore(state)
        return run(training)


def run(training: Training) -> int:
    """Evaluate, train, evaluate; whatever happens, what was done so far is on disk. Exit status 130 after Ctrl-C."""
    options, learner, directory = training.options, training.learner, training.directory
    describe_run(training)
    summary = {"before": None, "after": None, "interrupted": True} | directory.read_json("summary.json")
    try:
        if summary["before"] is None:
            summary["before"] = training.evaluate_test("before")
            directory.write_json("summary.json", summary)
        training.show_progress()
        ALGORITHMS[options.algo].train(learner, training.collect, training.log, options)
        training.bar.close()
        summary["after"] = training.evaluate_test("after")
        summary["interrupted"] = False
    except KeyboardInterrupt:
        print(f"\ninterrupted after {len(directory.metrics)} steps", file=sys.stderr)
    finally:
        training.bar.close()
        save_adapter(learner.model, directory.path / "adapter", options.model)
        summary |= {
            "steps_done": len(directory.metrics),
            "best": training.best,
            "seconds_total": training.seconds(),
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        directory.write_json("summary.json", summary)
        draw_curves(directory.path / "curves.png", directory.metrics, summary, run_title(options))
        directory.close()
    if summary["interrupted"]:
        return 130
    print_summary(options, summary)
    return 0


def describe_run(training: Training) -> None:
    """config.json: the resolved options, commit and machine; a resume adds where and on what it went on."""
    machine = describe_machine(training.learner.model.device)
    config = training.directory.read_json("config.json")
    if config:
        resumed = {"step": training.learner.step, **machine}
        config["resumed"] = [*config.get("resumed", []), resumed]
    else:
        config = asdict(training.options) | machine
    training.directory.write_json("config.json", config)


def print_summary(options: RunOptions, summary: dict) -> None:
    print(format_table({"before": summary["before"], "after": summary["after"]}, TABLE))
    print(f"{options.out}: {summary['seconds_total']:.0f} s, {summary['peak_rss_mb']:.0f} MB")


def run_title(options: RunOptions) -> str:
    return ", ".join(name for name in (options.algo, options.reward) if name)


if __name__ == "__main__":
    sys.exit(main())
