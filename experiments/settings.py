"""The options of run.py and eval.py: what there is, their defaults, and which do not go together.

An algorithm's own options stand in its file. Defaults are for models as small as the embedded one; `real=` names the
default for real models (0.5 B parameters and more), which such learning rates would destroy. Rank and alpha are those
of arXiv 2605.21180; the others are customary values that were not tuned here. bf16 rounds differently in sampler and
learner, by more than GSPO's clip range: hence --old-log-probs recompute.
"""

import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

from data.prompts import RULES
from data.sets.registry import OWN, SOURCES, STDIN
from experiments.inputs.hub import EMBEDDED
from experiments.inputs.policy import DEVICES, DTYPES, PROMPTS, STOPS
from experiments.options import (
    bad_input_is_one_line,
    check_choice,
    check_fields,
    fail,
    flag_of,
    nearest,
    option,
    options_of,
    parse_all,
)
from experiments.rollouts.metrics import STEADY, STEADY_GROUPS
from experiments.rollouts.reward import CREDITS
from rewards.expression import COMPONENTS, NAMED
from rewards.schedule import RECIPES, check, parse_schedule
from rl.lora import TARGETS, targets_of
from rl.sample import DECODERS

# A new algorithm needs its file in rl/ and its name here.
ALGORITHMS = {name: import_module(f"rl.{name}") for name in ("sft", "reinforce", "rloo", "grpo", "gspo", "ppo")}
REWARDS = ", ".join([*COMPONENTS, *NAMED, *RECIPES])
OWN_SAMPLES, GROUPS = "learning from own samples", "learning from groups"  # not all algorithms take these options


@dataclass
class SharedOptions:
    """What run.py and eval.py share: the model, the problems, how they are put, how answers are sampled and judged."""

    model: str = option(EMBEDDED, "checkpoint directory in Hugging Face layout, or a repository of its hub", "what")
    adapter: str = option("", "PEFT adapter directory to start from", "what")
    data: str = option("embedded", "a set's name (fetch.py --list), or a JSON-lines problems file", "what")
    from_: str = option("", "the set's file, or its directory, if it is not in the cache", "what")
    skip_broken: bool = option(False, "leave out problems whose own reference fails, and go on", "what", rare=True)
    prompt: str = option("auto", "how problems are put (docs/models.md)", "prompts", choices=PROMPTS)
    thinking: bool = option(False, "let the chat template's model think before it answers", "prompts", rare=True)
    extract: str = option("first", "which fenced block is the program", "prompts", choices=RULES, rare=True)
    stop: str = option(
        "style", "an answer ends where its style ends, or at EOS only", "prompts", choices=STOPS, rare=True
    )
    max_prompt_tokens: int = option(0, "leave out longer prompts; 0 is none", "prompts", least=0, rare=True)
    temperature: float = option(1.0, "sampling temperature", "sampling", above=0)
    max_new_tokens: int = option(72, "token budget of an answer", "sampling", least=1, real=512)
    decoder: str = option(
        "dynamic", "steps of the sampler; static uses CUDA graphs", "sampling", choices=tuple(DECODERS), rare=True
    )
    seed: int = option(0, "random seed of everything", "machine")
    device: str = option("auto", "where tensors live", "machine", choices=DEVICES)
    dtype: str = option("fp32", "weights of the base; LoRA stays fp32", "machine", choices=tuple(DTYPES), real="bf16")
    threads: int = option(0, "torch threads; 0 is 1 for a small model, else 1 per core", "machine", least=0)
    slots: int = option(2, "programs executed at a time", "machine", least=1)
    cpu_seconds: float = option(1.0, "CPU time limit of a program", "machine", above=0, real=3.0)
    allow_weak_sandbox: bool = option(False, "go on where the sandbox is below its minimum", "machine", rare=True)


@dataclass
class RunOptions(SharedOptions):
    """Every option of run.py but the algorithm's own, which `algorithm` holds. config.json has them all."""

    algo: str = option("gspo", "the algorithm", "what", choices=tuple(ALGORITHMS))
    reward: str = option(
        "staged",
        "expression, '0.6*staged + 0.4*security', or phases, 'binary@0:50 -> staged@50:' (docs/rewards.md); "
        f"names: {REWARDS}",
        OWN_SAMPLES,
    )
    resume: str = option("", "continue the run of this directory; takes no other option", "what")
    dry_run: bool = option(False, "print the estimated memory of the run, and do nothing else", "what")
    steps: int = option(100, "training steps; each samples, executes, rewards and updates once", "training", least=1)
    prompts: int = option(16, "problems a step", "training", least=1)
    lr: float = option(3e-3, "peak learning rate of AdamW", "training", above=0, real=1e-5)
    lr_schedule: str = option("linear", "after the warm-up", "training", choices=("linear", "constant"), rare=True)
    warmup: int = option(3, "steps of linear warm-up", "training", least=0, rare=True)
    epochs: int = option(1, "passes over each batch of rollouts", "training", least=1)
    minibatches: int = option(2, "optimizer steps in each pass", "training", least=1)
    microbatch_rows: int = option(128, "rows in memory at a time, at most", "training", least=1, rare=True)
    microbatch_tokens: int = option(
        0, "padded tokens in memory at a time, at most; 0 is any number", "training", least=0, real=16384
    )
    gradient_checkpointing: bool = option(False, "recompute activations to save memory", "training", real=True)
    max_grad_norm: float = option(1.0, "gradient norm is clipped to this", "training", above=0, rare=True)
    lora_rank: int = option(8, "rank of the LoRA layers", "training", least=1, real=16)
    lora_alpha: float = option(16.0, "LoRA scale is alpha / rank", "training", above=0, real=32.0)
    lora_targets: str = option("all", f"all, or some of {','.join(TARGETS)}", "training", rare=True)
    group_size: int = option(8, "samples a problem", OWN_SAMPLES, least=1)
    credit: str = option("uniform", "how reward and advantage fall on tokens", OWN_SAMPLES, choices=CREDITS)
    old_log_probs: str = option(
        "sampler", "of the ratio", OWN_SAMPLES, choices=("sampler", "recompute"), real="recompute", rare=True
    )
    importance_cap: float = option(
        0.0, "cap of importance weights, recomputed against sampled; 0 is none", OWN_SAMPLES, least=0, rare=True
    )
    mask_truncated: bool = option(False, "leave truncated completions out of the loss", OWN_SAMPLES, rare=True)
    reference: str = option(
        "start",
        "of the KL: start (the policy as it starts), base (no adapter), or an adapter directory",
        OWN_SAMPLES,
        rare=True,
    )
    zero_spread: str = option(
        "keep", "groups whose rewards are all equal", GROUPS, choices=("keep", "drop", "resample"), rare=True
    )
    resample_rounds: int = option(8, "rounds of resampling in a step, at most", GROUPS, least=0, rare=True)
    eval_samples: int = option(16, "samples a problem before and after", "evaluation", least=0, real=4)
    eval_every: int = option(20, "greedy pass@1 on valid every so many steps; 0 is never", "evaluation", least=0)
    eval_problems: int = option(0, "evaluate the first N problems only; 0 is all", "evaluation", least=0)
    checkpoint_every: int = option(20, "steps between checkpoints, one more at the end; 0 is none", "output", least=0)
    keep_checkpoints: int = option(2, "newest checkpoints that are kept", "output", least=1, rare=True)
    out: str = option("", "run directory; default runs/<time>-<algo>-<reward>", "output")
    algorithm: object = None  # the algorithm's Options


def read_options(arguments: Sequence[str] | None, description: str, is_small) -> RunOptions:
    """The checked options of a command line; exits with status 2 on a bad one.

    `is_small(options)` finds the model (it may download it) and says whether it is small: real models have other
    defaults, so the command line is then read again.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    check_alone(arguments)
    algo = named_algorithm(arguments)
    options = parse_run(arguments, description, algo or RunOptions.algo, real=False, show_rare=algo is not None)
    if options.resume:
        return options
    with bad_input_is_one_line("run.py"):
        check_combinations(options)
        if not is_small(options):
            model = options.model
            options = parse_run(arguments, description, options.algo, real=True)
            options.model = model
            check_combinations(options)
    reward = options.reward if ALGORITHMS[options.algo].ON_POLICY else ""
    slug = re.sub(r"[^\w.]+", "-", f"{options.algo}-{reward}").strip("-")[:60]
    options.out = options.out or f"runs/{time.strftime('%Y%m%d-%H%M%S')}-{slug}"
    make_paths_absolute(options)
    return options


def named_algorithm(arguments: Sequence[str]) -> str | None:
    """The value of --algo; None without one. Exits with status 2 for an unknown one."""
    found = None
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument.startswith("--algo="):
            found = argument.partition("=")[2]
        elif argument == "--algo":
            found = following
    if found is not None:
        with bad_input_is_one_line("run.py"):
            check_choice("algo", found, tuple(ALGORITHMS))
    return found


def parse_run(
    arguments: Sequence[str], description: str, algo: str, *, real: bool, show_rare: bool = True
) -> RunOptions:
    """RunOptions with the algorithm's own. Without --algo, --help shows neither those nor rare options."""
    module = ALGORITHMS[algo]
    own = f"options of {algo}"
    more = "\n".join(f"  {name:10} {line(other)}" for name, other in ALGORITHMS.items())
    epilog = f"algorithms (run.py --algo NAME --help lists all options, with the algorithm's own):\n{more}"
    help_alone = not show_rare and bool({"-h", "--help"} & set(arguments))
    classes = [RunOptions] if help_alone else [RunOptions, module.Options]
    options, *algorithm = parse_all(
        classes,
        arguments,
        "run.py",
        description,
        real=real,
        defaults=module.DEFAULTS,
        without=untaken(module),
        show_rare=show_rare,
        epilog=epilog,
        explain=lambda flag: explain(flag, algo),
        title=own,
    )
    options.algorithm = algorithm[0]
    return options


def line(module) -> str:
    """What an algorithm's file says of it first."""
    return module.__doc__.split("\n")[0].split(" (")[0].rpartition(": ")[2].rstrip(".")


def untaken(module) -> tuple[str, ...]:
    """The groups of RunOptions that an algorithm does not take."""
    return () if module.GROUPED else (GROUPS,) if module.ON_POLICY else (OWN_SAMPLES, GROUPS)


def explain(flag: str, algo: str) -> str:
    """The error for an option that other algorithms take; "" for an unknown one."""
    takers = [name for name, module in ALGORITHMS.items() if flag in flags_of(module)]
    return f"{flag}: {algo} takes no such option; it is for {', '.join(takers)}" if takers else ""


def flags_of(module) -> set[str]:
    """Every option that run.py takes with an algorithm."""
    items = [i for i in options_of(RunOptions) if i.metadata["group"] not in untaken(module)]
    items += options_of(module.Options)
    flags = {flag_of(item.name) for item in items}
    return flags | {f"--no-{flag_of(item.name)[2:]}" for item in items if item.metadata["kind"] is bool}


def check_alone(arguments: Sequence[str]) -> None:
    """--resume takes no other option: exits with status 2 for the first one."""
    flags = [argument.partition("=")[0] for argument in arguments if argument.startswith("--")]
    others = [flag for flag in flags if flag not in ("--resume", "--help")]
    if "--resume" in flags and others:
        fail("run.py", f"{others[0]}: --resume takes every option from the run; give it alone")


def from_record(record: dict) -> RunOptions:
    """The options in the config.json of a run. ValueError, one line, for one that is missing or wrong."""
    names = [item.name for item in options_of(RunOptions)] + ["algorithm"]
    if missing := [name for name in names if name not in record]:
        raise ValueError(f"{missing[0]}: missing; was it written by another version?")
    options = RunOptions(**{name: record[name] for name in names})
    check_choice("algo", options.algo, tuple(ALGORITHMS))
    own = ALGORITHMS[options.algo].Options
    if not isinstance(options.algorithm, dict) or options.algorithm.keys() != asdict(own()).keys():
        raise ValueError(f"algorithm: not the options of {options.algo}; was it written by another version?")
    options.algorithm = own(**options.algorithm)
    check_fields(options)
    check_fields(options.algorithm)
    check_combinations(options)
    return options


def make_paths_absolute(options: RunOptions) -> None:
    """A run can then be resumed from any directory. Names that are no paths ("embedded", "start") stay."""
    names = {"model": (EMBEDDED,), "reference": ("start", "base"), "data": (*OWN, *SOURCES)}
    for name in ("model", "data", "from_", "adapter", "reference"):
        value = getattr(options, name)
        if value and value.removesuffix(STDIN) not in names.get(name, ()) and Path(value).exists():
            setattr(options, name, str(Path(value).absolute()))


def check_combinations(options: RunOptions) -> None:
    """ValueError, one line, for options that contradict each other, or that have no effect."""
    module, own = ALGORITHMS[options.algo], options.algorithm
    if module.GROUPED and options.group_size < 2:
        raise ValueError(
            f"--group-size {options.group_size}: {options.algo} compares samples of one problem; needs at least 2"
        )
    if options.resample_rounds != RunOptions.resample_rounds and options.zero_spread != "resample":
        raise ValueError("--resample-rounds: does nothing without --zero-spread resample")
    if not getattr(own, "kl_coef", 0.0):
        silent = [("reference", options), *((name, own) for name in ("kl_estimator", "kl_in", "kl_target"))]
        for name, where in silent:
            if hasattr(where, name) and getattr(where, name) != getattr(type(where), name):
                raise ValueError(f"{flag_of(name)}: does nothing without --kl-coef")
    if options.importance_cap and options.old_log_probs != "recompute":
        raise ValueError(
            "--importance-cap: weighs recomputed log-probs against sampled ones; needs --old-log-probs recompute"
        )
    own.check(options)
    for target in targets_of(options.lora_targets):
        check_choice("lora-targets", target, TARGETS)
    if module.ON_POLICY:
        check_reward(options)


def check_reward(options: RunOptions) -> None:
    """Whether each phase of the reward can be computed in this run: a component may need what this run lacks (a
    simulator), and a phase may wait for a metric that no step has."""
    steady = STEADY + (STEADY_GROUPS if options.group_size > 1 else ())
    try:
        schedule = parse_schedule(options.reward, options.steps)
        check(schedule, options.max_new_tokens)
        for phase in schedule:
            if phase.when and phase.when.metric not in steady:
                near = nearest(phase.when.metric, steady) or f"; there are {', '.join(steady)}"
                raise ValueError(f"{options.reward}: when {phase.when.metric}: no step would have it{near}")
    except ValueError as error:
        raise ValueError(f"--reward {error}") from None
