"""Pass@k of a checkpoint, or of completions from a file: `python experiments/eval.py --model M --data NAME`.

    eval.py --adapter runs/NAME/adapter                             the embedded model with an adapter
    eval.py --model Qwen/Qwen3-0.6B --data mbpp --n-samples 10      a real model on a benchmark
    eval.py --samples FILE.jsonl --data mbppplus                    completions from a file; no model is loaded

Prints greedy pass@1, and unbiased pass@k from n samples at --temperature, each with a 95 % bootstrap interval over
problems; the share of each stage and error type; lengths; findings of Ruff and Bandit. Figures count all tests of a
problem. If a benchmark has its own tests and EvalPlus's, "base/" figures count its own only.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from data.problems import Problem
from data.sets.registry import note
from experiments.files import check_output, write_text
from experiments.inputs.hub import EMBEDDED
from experiments.inputs.policy import Policy, load_weights
from experiments.inputs.problems import ids_of
from experiments.inputs.samples import read_samples
from experiments.options import bad_input_is_one_line, flag_of, option, parse_all
from experiments.report.results import POWERS, make_results, parse_ks, to_lines
from experiments.report.run_directory import to_record
from experiments.report.summary import summarize_splits, to_text
from experiments.rollouts.evaluate import evaluate, judge_samples
from experiments.rollouts.judge import Judges, start_judges
from experiments.settings import SharedOptions
from experiments.setup import is_small, make_policy, open_set, open_splits, use_threads
from rl.rollout import Rollout

SHOWN = (1, 4, 16)  # the k of pass@k that are printed unless others are asked for; --json has all


@dataclass
class EvalOptions(SharedOptions):
    """Every option of eval.py."""

    samples: str = option("", "read completions from this file, in EvalPlus's format, and load no model", "what")
    split: str = option("test", "train, valid, test or all", "what")
    problems: int = option(0, "evaluate the first N problems only; 0 is all", "what", least=0)
    n_samples: int = option(16, "samples a problem for pass@k; 0 is greedy only", "sampling", least=0, real=4)
    k: str = option("", "the k of pass@k, with commas between them; else powers of 2", "output")
    json: str = option("", "file for the summary", "output")
    per_problem: str = option("", "file for a JSON line a problem", "output")
    rollouts: str = option("", "file for every answer, one JSON line each", "output")


def read_options(arguments: list[str] | None) -> EvalOptions:
    """The checked options, with the defaults of the model's size; exits with status 2 on a bad one."""

    def read(real: bool) -> EvalOptions:
        return parse_all((EvalOptions,), arguments, "eval.py", __doc__.split("\n")[0], real=real)[0]

    options = read(real=False)
    with bad_input_is_one_line("eval.py"):
        check(options)
        # Completions from a file are taken for those of a real model.
        if options.samples or not is_small(options):
            model = options.model
            options = read(real=True)
            options.model = model
        if not options.samples:
            check_ks(parse_ks(options.k), options.n_samples, "--n-samples")
    return options


def check(options: EvalOptions) -> None:
    """ValueError, one line, for files that cannot be read or written, and for options that contradict each other."""
    for name in ("json", "per_problem", "rollouts"):
        check_output(flag_of(name), getattr(options, name))
    parse_ks(options.k)
    if not options.samples:
        return
    if options.samples.isdecimal() and not Path(options.samples).exists():
        raise ValueError(f"--samples {options.samples}: is a file of completions; their number is --n-samples")
    if options.adapter or options.model != EMBEDDED:
        raise ValueError("--samples: completions come from the file, and no model or adapter is loaded")
    if not Path(options.samples).is_file():
        raise ValueError(f"--samples: no file {options.samples!r}")


def check_ks(ks: Sequence[int], samples: int, source: str) -> None:
    """ValueError for a k that is more than the samples of a problem."""
    if ks and ks[-1] > samples:
        raise ValueError(f"--k {ks[-1]}: needs as many samples a problem, {source} gives {samples}")


def open_policy(options: EvalOptions) -> tuple[Policy, list[Problem]]:
    """The policy with its weights, and the problems whose prompts fit."""
    policy = make_policy(options)
    found, _ = open_splits(options, (options.split,), policy, {options.split: options.problems})
    load_weights(policy, options.adapter, options.device, options.dtype)
    use_threads(options.threads, policy.model.config.hidden_size)
    return policy, found[options.split]


def open_samples(options: EvalOptions, ks: Sequence[int]) -> tuple[list[Problem], list[Rollout]]:
    """The problems, and the file's completions of them, with enough for each k."""
    problems = open_set(options, [options.split])[options.split][: options.problems or None]
    given = Path(options.from_) if options.from_ else None
    samples = read_samples(Path(options.samples), problems, ids_of(options.data, given), options.data)
    counts = Counter(rollout.prompt_id for rollout in samples)
    check_ks(ks, min(counts.values()), options.samples)
    return problems, samples


def main(arguments: list[str] | None = None) -> int:
    options = read_options(arguments)
    ks = parse_ks(options.k)
    with ExitStack() as stack:
        with bad_input_is_one_line("eval.py"):
            policy, samples = None, []
            if options.samples:
                problems, samples = open_samples(options, ks)
            else:
                policy, problems = open_policy(options)
            judges = stack.enter_context(start_judges(options.slots, options.cpu_seconds, options.allow_weak_sandbox))
        bar = stack.enter_context(tqdm(total=len(problems), desc="evaluate", unit="problem", file=sys.stderr))
        greedy, sampled = get_answers(options, policy, problems, samples, judges, bar.update)
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
        lines = [json.dumps({"mode": "greedy", **to_record(rollout)}) for rollout in greedy]
        lines += [json.dumps({"mode": "sampled", **to_record(rollout)}) for rollout in sampled]
        write_text(Path(options.rollouts), "\n".join(lines) + "\n")
    return 0


def get_answers(
    options: EvalOptions,
    policy: Policy | None,
    problems: list[Problem],
    samples: list[Rollout],
    judges: Judges,
    progress: Callable[[int], object],
) -> tuple[list[Rollout], list[Rollout]]:
    """Greedy and sampled answers, judged: the policy's, or those of the file.

    A single sample a problem is taken for the greedy answer, as in EvalPlus's files.
    """
    if policy is not None:
        shared = {"seed": options.seed, "max_new_tokens": options.max_new_tokens, "temperature": options.temperature}
        return evaluate(policy, problems, judges, samples=options.n_samples, progress=progress, **shared)
    judge_samples(problems, samples, judges, progress)
    return (samples, []) if len(samples) == len(problems) else ([], samples)


if __name__ == "__main__":
    sys.exit(main())
