"""Pass@k of a checkpoint, or of completions from a file: `python experiments/eval.py --model M --data NAME`.

    eval.py --adapter runs/NAME/adapter                             the embedded model with an adapter
    eval.py --model Qwen/Qwen3-0.6B --data mbpp --n-samples 10      a real one on a benchmark (fetch.py gets its files)
    eval.py --samples FILE.jsonl --data mbppplus                    somebody's completions (samples.py); no model

Greedy pass@1, and unbiased pass@k from n samples at --temperature, each with a 95 % bootstrap interval over problems;
the share of each stage and error type; lengths; what Ruff and Bandit found. Figures are on all tests of a problem;
where a benchmark's own and EvalPlus's are told apart, "base/" figures are on its own alone.

`experiments/run.py` calls `evaluate` before and after.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from experiments import threads  # first: it must come before torch

# isort: split
from tqdm import tqdm

from data.problems import Problem
from data.prompts import RULES
from data.sets.registry import note
from experiments.files import check_output, write_text
from experiments.inputs.hub import find_checkpoint
from experiments.inputs.policy import PROMPTS, Policy, answer, encode_prompts, load_policy
from experiments.inputs.problems import fit_prompts, ids_of, open_problems, shots
from experiments.inputs.samples import read_samples
from experiments.options import (
    EMBEDDED,
    bad_input_is_one_line,
    check_at_least,
    check_choice,
    check_positive,
    flag_of,
    option,
    parse,
)
from experiments.report.results import POWERS, make_results, parse_ks, to_lines
from experiments.report.summary import summarize_splits, to_text
from experiments.rollouts.judge import Referee, describe, start_referee
from experiments.settings import REAL_MODEL, SMALL_MODEL
from rl.files.config import check_window, read_config
from rl.rollout import Rollout
from rl.sample import DECODERS

EVAL_STEP = -1  # evaluation draws its own randomness: training steps count from 0
CHUNK = 32  # problems sampled and judged at a time, so that the bar moves
# Options whose default depends on the model's size, and run.py's name of the same.
SIZED = {"n_samples": "eval_samples"} | {name: name for name in ("max_new_tokens", "dtype", "cpu_seconds")}
SHOWN = (1, 4, 16)  # the k of pass@k that are printed where none are asked for; --json has all


@dataclass
class EvalOptions:
    """Every option of eval.py."""

    model: str = option(EMBEDDED, "checkpoint directory in Hugging Face layout, or a repository of its hub", "what")
    adapter: str = option("", "PEFT adapter directory to put on it", "what")
    samples: str = option("", "read completions from this file, in EvalPlus's format, and load no model", "what")
    data: str = option("embedded", "the problems: a set's name (fetch.py --list) or a JSON-lines file", "what")
    from_: str = option("", "where the set's file lies, if not in the cache", "what")
    split: str = option("test", "train, valid, test or all", "what")
    problems: int = option(0, "evaluate the first N problems only; 0 is all", "what")
    skip_broken: bool = option(False, "leave out problems whose own reference fails, and go on", "what")
    prompt: str = option("auto", f"how problems are put: {', '.join(PROMPTS)} (docs/models.md)", "prompts")
    thinking: bool = option(False, "let the chat template's model think before it answers", "prompts")
    extract: str = option("first", f"which fenced block is the program: {' or '.join(RULES)}", "prompts")
    stop: str = option("style", "an answer ends where its prompt's style ends it (style), or with EOS alone", "prompts")
    max_prompt_tokens: int = option(0, "leave out problems with longer prompts; 0 is none", "prompts")
    n_samples: int = option(None, "samples a problem for pass@k; 0 is greedy only", "how", int)
    k: str = option("", "the k of pass@k, with commas between them; else powers of 2", "how")
    temperature: float = option(1.0, "sampling temperature", "how")
    max_new_tokens: int = option(None, "token budget of an answer", "how", int)
    decoder: str = option("dynamic", "steps of the sampler: dynamic, or static (with CUDA graphs on CUDA)", "how")
    seed: int = option(0, "random seed", "how")
    device: str = option("auto", "auto, cpu or cuda", "machine")
    dtype: str = option(None, "fp32 or bf16: weights of the base", "machine", str)
    threads: int = option(0, "torch threads; 0 is one for a small model, else one for each core", "machine")
    slots: int = option(2, "programs executed at a time", "machine")
    cpu_seconds: float = option(None, "CPU time limit of a program", "machine", float)
    allow_weak_sandbox: bool = option(False, "go on where the sandbox is below its minimum", "machine")
    json: str = option("", "file for the summary", "output")
    per_problem: str = option("", "file for a JSON line a problem", "output")
    rollouts: str = option("", "file for every answer, one JSON line each", "output")


def evaluate(
    policy: Policy,
    problems: list[Problem],
    referee: Referee,
    *,
    samples: int,
    seed: int,
    max_new_tokens: int,
    temperature: float = 1.0,
    progress: Callable[[int], object] = lambda done: None,
) -> tuple[list[Rollout], list[Rollout]]:
    """Greedy rollouts (one a problem) and sampled ones (`samples` a problem), judged and analysed, without rewards.

    `progress` counts problems.
    """
    greedy, sampled = [], []
    for start in range(0, len(problems), CHUNK):
        chunk = problems[start : start + CHUNK]
        shared = {"seed": seed, "step": EVAL_STEP, "max_new_tokens": max_new_tokens}
        with referee.trial(chunk) as trial:
            shared["on_rollouts"] = trial.add
            fresh = answer(policy, chunk, group_size=1, temperature=0.0, **shared)
            if samples:
                fresh += answer(policy, chunk, group_size=samples, temperature=temperature, **shared)
            for rollout, known in zip(fresh, trial.finish(fresh), strict=True):
                describe(rollout, *known)
        greedy += fresh[: len(chunk)]
        sampled += fresh[len(chunk) :]
        progress(len(chunk))
    return greedy, sampled


def judge_samples(
    problems: Sequence[Problem],
    samples: Sequence[Rollout],
    referee: Referee,
    progress: Callable[[int], object] = lambda done: None,
) -> None:
    """Judges and analyses answers that are there already, a chunk of problems at a time."""
    waiting: dict[int | str, list[Rollout]] = {problem.task_id: [] for problem in problems}
    for rollout in samples:
        waiting[rollout.prompt_id].append(rollout)
    for start in range(0, len(problems), CHUNK):
        chunk = problems[start : start + CHUNK]
        fresh = [rollout for problem in chunk for rollout in waiting[problem.task_id]]
        with referee.trial(chunk) as trial:
            trial.add(fresh)
            for rollout, known in zip(fresh, trial.finish(fresh), strict=True):
                describe(rollout, *known)
        progress(len(chunk))


# The command ----------------------------------------------------------------------------------------------------


def check(options: EvalOptions) -> None:
    """Fills in defaults. ValueError, one line, for options that cannot be."""
    for name in ("json", "per_problem", "rollouts"):
        check_output(flag_of(name), getattr(options, name))
    if options.samples.isdecimal() and not Path(options.samples).exists():
        raise ValueError(f"--samples {options.samples}: is a file of completions; their number is --n-samples")
    if options.samples and (options.adapter or options.model != EMBEDDED):
        raise ValueError("--samples: completions come from the file, and no model or adapter is loaded")
    if options.samples and not Path(options.samples).is_file():
        raise ValueError(f"--samples: no file {options.samples!r}")
    resolve(options)
    check_at_least(options, 0, "problems", "n_samples", "max_prompt_tokens", "threads")
    check_at_least(options, 1, "max_new_tokens", "slots")
    check_positive(options, "temperature", "cpu_seconds")
    check_choice("decoder", options.decoder, tuple(DECODERS))
    if not options.samples:
        check_ks(parse_ks(options.k), options.n_samples, "--n-samples")


def resolve(options: EvalOptions) -> None:
    """Fills in the defaults of the model's size. Of completions from a file a real model is supposed."""
    small = False
    if not options.samples:
        path, _ = find_checkpoint(options.model)
        small = read_config(path).hidden_size <= threads.SMALL
    for name, of_run in SIZED.items():
        if getattr(options, name) is None:
            setattr(options, name, (SMALL_MODEL if small else REAL_MODEL)[of_run])


def default_of(name: str) -> str:
    """For --help."""
    return f"{SMALL_MODEL[SIZED[name]]}; real models: {REAL_MODEL[SIZED[name]]}"


def check_ks(ks: Sequence[int], samples: int, source: str) -> None:
    """ValueError for a pass@k that the samples do not suffice for."""
    if ks and ks[-1] > samples:
        raise ValueError(f"--k {ks[-1]}: needs as many samples a problem, {source} gives {samples}")


def fit(policy: Policy, problems: list[Problem], options: EvalOptions) -> list[Problem]:
    """The problems whose prompt is not too long. ValueError, one line, where prompt and budget exceed the window."""
    lengths = [len(prompt) for prompt in encode_prompts(policy.tokenizer, problems, policy.asking)]
    fitting, longest = fit_prompts(problems, lengths, options.max_prompt_tokens, options.data)
    try:
        check_window(policy.model.config, longest, options.max_new_tokens)
    except ValueError as error:
        raise ValueError(
            f"--data {options.data}: problem {problems[lengths.index(longest)].task_id}: {error}"
        ) from None
    return fitting


def open_policy(options: EvalOptions) -> Policy:
    asking = {name: getattr(options, name) for name in ("prompt", "thinking", "extract", "stop")}
    asking["shots"] = shots(options.data, options.from_)
    return load_policy(options.model, options.adapter, options.device, options.dtype, decoder=options.decoder, **asking)


def open_set(options: EvalOptions) -> list[Problem]:
    problems = open_problems(
        options.data,
        [options.split],
        given=options.from_,
        skip_broken=options.skip_broken,
        slots=options.slots,
        cpu_seconds=options.cpu_seconds,
        allow_weak=options.allow_weak_sandbox,
    )[options.split]
    return problems[: options.problems or len(problems)]


def open_samples(options: EvalOptions, problems: Sequence[Problem], ks: Sequence[int]) -> list[Rollout]:
    """The file's completions of these problems, with enough of them for each k."""
    given = Path(options.from_) if options.from_ else None
    samples = read_samples(Path(options.samples), problems, ids_of(options.data, given), options.data)
    counts = Counter(rollout.prompt_id for rollout in samples)
    check_ks(ks, min(counts.values()), options.samples)
    return samples


def main(arguments: list[str] | None = None) -> int:
    options = parse(EvalOptions, arguments, "eval.py", __doc__.split("\n")[0], default_of)
    with ExitStack() as stack:
        with bad_input_is_one_line("eval.py"):
            check(options)
            ks = parse_ks(options.k)
            problems = open_set(options)
            policy, samples = None, []
            if options.samples:
                samples = open_samples(options, problems, ks)
            else:
                policy = open_policy(options)
                problems = fit(policy, problems, options)
            referee = stack.enter_context(start_referee(options.slots, options.cpu_seconds, options.allow_weak_sandbox))
        bar = stack.enter_context(tqdm(total=len(problems), desc="evaluate", unit="problem", file=sys.stderr))
        greedy, sampled = get_answers(options, policy, problems, samples, referee, bar.update)
    splits = summarize_splits(problems, greedy, sampled, options.split, ks or POWERS)
    if samples and greedy:
        print("one sample a problem: taken for the greedy answers")
    print(to_text(splits, ks or SHOWN))
    if text := note(options.data, problems):
        print(text)
    if options.json:
        write_text(Path(options.json), json.dumps({"options": vars(options), "splits": splits}, indent=2) + "\n")
    if options.per_problem:
        write_text(Path(options.per_problem), to_lines(make_results(problems, greedy, sampled)))
    if options.rollouts:
        lines = [json.dumps({"mode": "greedy", **rollout.record()}) for rollout in greedy]
        lines += [json.dumps({"mode": "sampled", **rollout.record()}) for rollout in sampled]
        write_text(Path(options.rollouts), "\n".join(lines) + "\n")
    return 0


def get_answers(
    options: EvalOptions,
    policy: Policy | None,
    problems: list[Problem],
    samples: list[Rollout],
    referee: Referee,
    progress: Callable[[int], object],
) -> tuple[list[Rollout], list[Rollout]]:
    """Greedy and sampled answers, judged: the policy's, or those of the file.

    One sample a problem is taken for the greedy answer, as it is in EvalPlus's files.
    """
    if policy is not None:
        threads.use(options.threads, policy.model.config.hidden_size)
        shared = {"seed": options.seed, "max_new_tokens": options.max_new_tokens, "temperature": options.temperature}
        return evaluate(policy, problems, referee, samples=options.n_samples, progress=progress, **shared)
    judge_samples(problems, samples, referee, progress)
    return (samples, []) if len(samples) == len(problems) else ([], samples)


if __name__ == "__main__":
    sys.exit(main())
