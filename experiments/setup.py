"""Opens what a run needs: problems, policy, learner. Everything that can be refused is refused here, in one line.

The order is by cost: the tokenizer tells which prompts fit before the weights are read.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import torch

from data.problems import Problem
from data.programs import write_answer
from experiments.inputs.hub import find_checkpoint
from experiments.inputs.policy import Policy, load_weights, open_policy
from experiments.inputs.problems import fit_prompts, open_problems, shots
from experiments.rollouts.sample import SOLUTIONS
from experiments.settings import ALGORITHMS, RunOptions, SharedOptions
from rl.critic import Critic
from rl.files.adapter import load_adapter
from rl.files.checkpoint import restore_checkpoint
from rl.files.config import read_config
from rl.learner import Learner, Settings
from rl.lora import add_lora, share_base, targets_of
from rl.model import Decoder, check_window

SMALL = 512  # width up to which a model is small


def is_small(options: SharedOptions) -> bool:
    """Whether the model is small. Finds it, downloads it from a hub if it must, and writes the commit of a hub's model
    into the options: a resumed run starts from the same weights. ValueError, one line."""
    path, commit = find_checkpoint(options.model)
    if commit:
        options.model = f"{options.model.partition('@')[0]}@{commit}"
    return read_config(path).hidden_size <= SMALL


def use_threads(count: int, width: int) -> None:
    """Sets torch's threads. 0 is one per core, but one alone for a small model: its operations are too short to share,
    and with one thread the same seed gives the same run to the last bit."""
    torch.set_num_threads(count or (1 if width <= SMALL else len(os.sched_getaffinity(0))))


def make_policy(options: SharedOptions) -> Policy:
    """The policy of the options, without weights."""
    return open_policy(
        options.model,
        prompt=options.prompt,
        thinking=options.thinking,
        extract=options.extract,
        stop=options.stop,
        shots=shots(options.data, options.from_),
        decoder=options.decoder,
    )


def open_set(options: SharedOptions, splits: Sequence[str]) -> dict[str, list[Problem]]:
    """The problems of each split. ValueError, one line, for a set that cannot be opened."""
    return open_problems(
        options.data,
        splits,
        given=options.from_,
        skip_broken=options.skip_broken,
        slots=options.slots,
        cpu_seconds=options.cpu_seconds,
        allow_weak=options.allow_weak_sandbox,
    )


def open_splits(
    options: SharedOptions, splits: tuple[str, ...], policy: Policy, most: dict[str, int]
) -> tuple[dict[str, list[Problem]], int]:
    """The problems of each split whose prompts fit, at most `most` of a split where given; and the longest prompt.

    ValueError, one line, for a set that cannot be opened, or prompts that leave no room for an answer.
    """
    found = open_set(options, splits)
    longest, where = 0, ""
    for split, problems in found.items():
        problems = problems[: most.get(split, 0) or None]
        lengths = [len(policy.prompt_ids(problem)) for problem in problems]
        found[split], length = fit_prompts(problems, lengths, options.max_prompt_tokens, f"{options.data}, {split}")
        if length > longest:
            longest, where = length, f"{problems[lengths.index(length)].task_id}"
    try:
        check_window(read_config(policy.directory), longest, options.max_new_tokens)
    except ValueError as error:
        raise ValueError(f"--data {options.data}: problem {where}: {error}") from None
    return found, longest


def open_run_splits(options: RunOptions, policy: Policy) -> tuple[dict[str, list[Problem]], int, int]:
    """train, valid and test of a run, and the most tokens of a prompt and of an answer to come."""
    most = {"valid": options.eval_problems, "test": options.eval_problems}
    splits, longest = open_splits(options, ("train", "valid", "test"), policy, most)
    budget = options.max_new_tokens
    if not ALGORITHMS[options.algo].ON_POLICY:
        splits["train"], tokens = fit_solutions(options, splits["train"], policy)
        budget = max(budget, tokens)
    return splits, longest, budget


def fit_solutions(options: RunOptions, problems: list[Problem], policy: Policy) -> tuple[list[Problem], int]:
    """The problems whose prompt and solutions fit into the window, and the most tokens of a solution with its EOS. The
    others are counted on stderr. ValueError for a problem without a solution, or if none fits."""
    solutions, window = options.algorithm.solutions, read_config(policy.directory).max_position_embeddings
    fitting, longest = [], 0
    for problem in problems:
        for name in SOLUTIONS[solutions]:
            if not getattr(problem, name):
                raise ValueError(f"--solutions {solutions}: {options.data}: task_id {problem.task_id} has no `{name}`")
        texts = [write_answer(problem, getattr(problem, name), policy.form) for name in SOLUTIONS[solutions]]
        tokens = 1 + max(len(policy.answer_ids(text)) for text in texts)
        if len(policy.prompt_ids(problem)) + tokens <= window:
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


def make_learner(options: RunOptions, policy: Policy, checkpoint: Path | None) -> Learner:
    """Loads the weights and makes the learner, new or as the checkpoint has it. ValueError, one line."""
    adapter = options.adapter if checkpoint is None else str(checkpoint)
    load_weights(policy, adapter, options.device, options.dtype)
    use_threads(options.threads, policy.model.config.hidden_size)
    if not adapter:
        add_lora(policy.model, options.lora_rank, options.lora_alpha, targets_of(options.lora_targets), options.seed)
    names, given = {item.name for item in fields(Settings)}, asdict(options)
    settings = Settings(**{name: value for name, value in given.items() if name in names})
    reference, critic, critic_lr = make_reference(options, policy.model), None, 0.0
    own = options.algorithm
    if hasattr(own, "critic"):
        critic = Critic(policy.model, own.critic, options.lora_rank, options.lora_alpha, options.seed)
        critic_lr = own.critic_lr
    learner = Learner(policy.model, settings, reference, critic, critic_lr)
    if checkpoint is not None:
        restore_checkpoint(checkpoint, learner)
    return learner


def make_reference(options: RunOptions, model: Decoder) -> Decoder | None:
    """The reference policy of the KL: the start of this run, its base, or an adapter's. None without a KL."""
    if not getattr(options.algorithm, "kl_coef", 0.0):
        return None
    reference = share_base(model)
    adapter = {"start": options.adapter, "base": ""}.get(options.reference, options.reference)
    if adapter:
        load_adapter(reference, adapter)
    return reference.requires_grad_(False)


def checked_directory(name: str) -> Path:
    """A run's new directory. ValueError if it exists and is not empty."""
    out = Path(name)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"--out {name}: exists already and is not empty; --resume continues a run")
    return out
