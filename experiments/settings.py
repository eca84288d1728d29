"""Every option of run.py: what there is, what each algorithm takes, and its defaults on small and on real models."""

import dataclasses
import re
import time
from dataclasses import dataclass, fields
from pathlib import Path

from data.prompts import RULES
from data.sets.registry import OWN, SOURCES, STDIN
from experiments.inputs.policy import DEVICES, DTYPES, PROMPTS, SOLUTIONS, STOPS
from experiments.options import EMBEDDED, check_at_least, check_choice, check_positive, nearest, option
from experiments.rollouts.judge import CREDITS
from experiments.rollouts.metrics import STEADY, STEADY_GROUPS
from rewards.answer import Analysis, Answer
from rewards.expression import COMPONENTS, NAMED, evaluate
from rewards.schedule import RECIPES, parse_schedule
from rl import critic, grpo, gspo, kl, ppo, rloo, sft
from rl import loss as normalizer
from rl.lora import TARGETS
from rl.sample import DECODERS
from sandbox import Stage, Task, Verdict
from sandbox.outcome import lost

ALGORITHMS = {"sft": sft, "grpo": grpo, "gspo": gspo, "rloo": rloo, "ppo": ppo}

# Options that depend on the algorithm are None until `resolve`: an algorithm takes those that its file lists
# (DEFAULTS) and those here, and gives them a value; any other is refused, for it would do nothing.
COMMON = {"lr": 3e-3, "epochs": 1, "minibatches": 2, "lr_schedule": "linear", "warmup": 3}
SAMPLED = {  # of all that learn from their own samples
    "reward": "staged",
    "prompts": 16,
    "group_size": 8,
    "reference": "start",
    "old_log_probs": "sampler",
    "importance_cap": 0.0,
    "mask_truncated": False,
    "credit": "uniform",
}
GROUPED = {"zero_spread": "keep", "resample_rounds": 8}  # of those that compare samples of one prompt
TAKEN = {
    "sft": COMMON | sft.DEFAULTS | {"prompts": 64, "minibatches": 1, "group_size": 1, "solutions": "code"},
    "grpo": COMMON | SAMPLED | GROUPED | grpo.DEFAULTS,
    "gspo": COMMON | SAMPLED | GROUPED | gspo.DEFAULTS,
    "rloo": COMMON | SAMPLED | GROUPED | rloo.DEFAULTS,
    "ppo": COMMON | SAMPLED | ppo.DEFAULTS | {"critic_lr": 1e-2},
}
COPY_LR = 2e-3  # critic_lr where the critic is a whole copy of the model: every weight learns, not an adapter's

# The defaults above are for models as small as the embedded one (threads.SMALL), and so are these, of every algorithm:
SMALL_MODEL = {
    "lora_rank": 8,
    "lora_alpha": 16.0,
    "max_new_tokens": 72,
    "eval_samples": 16,
    "dtype": "fp32",
    "microbatch_tokens": 0,
    "gradient_checkpointing": "no",
    "cpu_seconds": 1.0,
}
# A real model (0.5 B parameters and more) would be destroyed by such learning rates, and needs room for its answers.
# The rank and alpha are those of arXiv 2605.21180; the rest are customary values that have not been tuned here. bf16
# rounds differently in the sampler and in the learner, by more than GSPO's clip range: hence recomputed log-probs.
REAL_MODEL = {
    "lr": 1e-5,
    "critic_lr": 1e-5,
    "lora_rank": 16,
    "lora_alpha": 32.0,
    "max_new_tokens": 512,
    "eval_samples": 4,
    "dtype": "bf16",
    "old_log_probs": "recompute",
    "microbatch_tokens": 16384,
    "gradient_checkpointing": "yes",
    "cpu_seconds": 3.0,
}

# Options that mean nothing unless the other is given, too, and, where it has one value only, with that value.
NEEDS = {
    "kl_estimator": ("kl_coef", None),
    "kl_in": ("kl_coef", None),
    "reference": ("kl_coef", None),
    "kl_horizon": ("kl_target", None),
    "resample_rounds": ("zero_spread", "resample"),
}


def own(kind: type, help: str, group: str) -> object:
    """An option whose default is the algorithm's own."""
    return option(None, help, group, kind)


def own_default(name: str) -> str:
    """For --help: each default of an option and the algorithms that have it, as in "0.2: grpo, ppo; 0.0003: gspo"."""
    users: dict[object, list[str]] = {}
    for algorithm, taken in TAKEN.items():
        if name in taken:
            users.setdefault(taken[name], []).append(algorithm)
    text = "; ".join(f"{value}: {', '.join(names)}" for value, names in users.items()) or str(SMALL_MODEL[name])
    return text + (f"; real models: {REAL_MODEL[name]}" if name in REAL_MODEL else "")


@dataclass
class RunOptions:
    """Every option of run.py; config.json holds them all, resolved, null where the algorithm takes no such option."""

    model: str = option(EMBEDDED, "checkpoint directory in Hugging Face layout, or a repository of its hub", "what")
    data: str = option("embedded", "a set's name (fetch.py --list), or a JSON-lines problems file with splits", "what")
    from_: str = option("", "where the set's file lies, or its directory, if not in the cache", "what")
    skip_broken: bool = option(False, "leave out problems whose own reference fails, and go on", "what")
    prompt: str = option("auto", f"how problems are put: {', '.join(PROMPTS)} (docs/models.md)", "prompts")
    thinking: bool = option(False, "let the chat template's model think before it answers", "prompts")
    extract: str = option("first", f"which fenced block is the program: {' or '.join(RULES)}", "prompts")
    stop: str = option("style", "an answer ends where its prompt's style ends it (style), or with EOS alone", "prompts")
    max_prompt_tokens: int = option(0, "leave out problems with longer prompts; 0 is none", "prompts")
    algo: str = option("gspo", f"the algorithm: {', '.join(ALGORITHMS)}", "what")
    reward: str = own(
        str,
        f"an expression such as '0.6*staged + 0.4*security', or phases of them, 'binary@0:50 -> staged@50:'; names: "
        f"{', '.join([*COMPONENTS, *NAMED, *RECIPES])} (docs/rewards.md)",
        "what",
    )
    credit: str = own(str, f"how reward and advantage fall on tokens: {', '.join(CREDITS)}", "algorithm")
    resume: str = option("", "go on with the run of this directory; takes no other option", "what")
    solutions: str = own(str, f"what SFT learns of each problem: {', '.join(SOLUTIONS)}", "what")
    steps: int = option(100, "training steps; each samples, executes, rewards and updates once", "training")
    prompts: int = own(int, "problems a step", "training")
    group_size: int = own(int, "samples a problem", "training")
    lr: float = own(float, "peak learning rate of AdamW", "training")
    lr_schedule: str = own(str, "after the warm-up: linear (decay) or constant", "training")
    warmup: int = own(int, "steps of linear warm-up", "training")
    epochs: int = own(int, "passes over each batch of rollouts", "training")
    minibatches: int = own(int, "optimizer steps in each pass", "training")
    microbatch_rows: int = option(128, "rollouts in memory at a time, at most; changes no result", "training")
    microbatch_tokens: int = own(int, "padded tokens in memory at a time, at most; 0 is any number", "training")
    gradient_checkpointing: str = own(str, "yes or no: work activations out twice, keep them once", "training")
    max_grad_norm: float = option(1.0, "gradient norm is clipped to this", "training")
    clip_low: float = own(float, "clip range of the ratio below 1", "algorithm")
    clip_high: float = own(float, "clip range of the ratio above 1", "algorithm")
    scale_rewards: str = own(str, f"divide advantages by the std of: {', '.join(grpo.SCALES)}", "algorithm")
    loss_normalizer: str = own(str, f"what the loss divides by: {', '.join(normalizer.NORMALIZERS)}", "algorithm")
    ratio_level: str = own(str, "ratio of a whole sequence or of GSPO-token: sequence, token", "algorithm")
    zero_spread: str = own(str, "groups whose rewards are all equal: keep, drop, or resample others", "algorithm")
    resample_rounds: int = own(int, "rounds of resampling in a step, at most", "algorithm")
    mask_truncated: bool = option(False, "leave completions that ran out of budget out of the loss", "algorithm")
    old_log_probs: str = own(str, "of the ratio: the sampler's own (sampler), or recompute", "algorithm")
    importance_cap: float = own(float, "cap of importance weights, recomputed against sampled; 0 is none", "algorithm")
    kl_coef: float = own(float, "weight of the KL to the reference; 0 is none", "KL")
    kl_estimator: str = own(str, f"{', '.join(kl.ESTIMATORS)}; rl/kl.py says which is right where", "KL")
    kl_in: str = own(str, "where the KL stands: loss or reward", "KL")
    kl_weighted: bool = option(False, "weight the KL in the loss by the ratio: an unbiased gradient", "KL")
    kl_target: float = own(float, "adapt kl_coef towards this KL of a sequence, in nats; 0 is fixed", "KL")
    kl_horizon: int = own(int, "sequences over which kl_coef adapts", "KL")
    reference: str = own(str, "'start' (the policy as it starts), 'base' (no adapter), or an adapter directory", "KL")
    critic: str = own(str, f"what the critic learns: {', '.join(critic.KINDS)}", "PPO")
    critic_lr: float = own(float, f"peak learning rate of the critic; of a copy {COPY_LR}", "PPO")
    value_clip: float = own(float, "clip range of the values", "PPO")
    value_coef: float = own(float, "weight of the value loss", "PPO")
    gamma: float = own(float, "discount per token", "PPO")
    gae_lambda: float = own(float, "lambda of the advantage estimation", "PPO")
    whiten: str = own(str, "whiten the advantages: yes or no", "PPO")
    target_kl: float = own(float, "stop a step's updates at this KL from its start, nats a token; 0 is never", "PPO")
    lora_rank: int = own(int, "rank of the LoRA layers", "adapter")
    lora_alpha: float = own(float, "LoRA scale is alpha / rank", "adapter")
    lora_targets: str = option("all", "linear layers to adapt: all, or some of " + ",".join(TARGETS), "adapter")
    adapter: str = option("", "PEFT adapter directory to start from", "adapter")
    temperature: float = option(1.0, "sampling temperature", "sampling")
    decoder: str = option("dynamic", "steps of the sampler: dynamic, or static (with CUDA graphs on CUDA)", "sampling")
    max_new_tokens: int = own(int, "token budget of an answer", "sampling")
    eval_samples: int = own(int, "samples a problem in the evaluations before and after", "evaluation")
    eval_every: int = option(20, "greedy pass@1 on the valid split every so many steps; 0 is never", "evaluation")
    eval_problems: int = option(0, "evaluate the first N problems only; 0 is all", "evaluation")
    seed: int = option(0, "random seed of everything", "machine")
    device: str = option("auto", "auto, cpu or cuda", "machine")
    dtype: str = own(str, "fp32 or bf16: weights of the base; LoRA stays fp32", "machine")
    threads: int = option(0, "torch threads; 0 is one for a small model, else one for each core", "machine")
    slots: int = option(2, "programs executed at a time", "machine")
    cpu_seconds: float = own(float, "CPU time limit of a program", "machine")
    allow_weak_sandbox: bool = option(False, "go on where the sandbox is below its minimum", "machine")
    checkpoint_every: int = option(20, "steps between checkpoints, one more at the end; 0 is none", "output")
    keep_checkpoints: int = option(2, "newest checkpoints that are kept", "output")
    out: str = option("", "run directory; default runs/<time>-<algo>-<reward>", "output")
    dry_run: bool = option(False, "print the estimated memory of the run, and do nothing else", "output")


def defaults(algorithm: str, small: bool) -> dict:
    """What is used of each option that the algorithm takes where nothing is said: of a small or a real model."""
    taken = TAKEN[algorithm] | SMALL_MODEL
    return taken if small else taken | {name: value for name, value in REAL_MODEL.items() if name in taken}


def resolve(options: RunOptions, small: bool = True) -> RunOptions:
    """Fills in the defaults of the algorithm and the model's size, and checks every option; from here on nothing is
    implied.

    ValueError, one line, for the first option that makes no sense, alone or with the others.
    """
    check_choice("algo", options.algo, tuple(ALGORITHMS))
    taken = defaults(options.algo, small)
    owned = {name for names in TAKEN.values() for name in names}
    for item in fields(options):
        given = getattr(options, item.name)
        if item.name in owned and item.name not in taken and given is not None and given is not False:
            users = [name for name in ALGORITHMS if item.name in TAKEN[name]]
            raise ValueError(
                f"--{item.name.replace('_', '-')}: {options.algo} takes no such option; it is for {', '.join(users)}"
            )
        if given is not None and item.name in NEEDS:
            check_needed(options, item.name, *NEEDS[item.name])
    if options.critic == "copy" and options.critic_lr is None and small:
        options.critic_lr = COPY_LR
    for name, value in taken.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    validate(options)
    kind = "-".join(name for name in (options.algo, options.reward) if name)
    slug = re.sub(r"[^\w.]+", "-", kind).strip("-")[:60]
    options.out = options.out or f"runs/{time.strftime('%Y%m%d-%H%M%S')}-{slug}"
    make_paths_absolute(options)
    return options


def check_needed(options: RunOptions, name: str, needed: str, value: str | None) -> None:
    """ValueError for an option that was given without the one that it goes with."""
    found = getattr(options, needed)
    if not (found == value if value else found):
        flag, other = (f"--{word.replace('_', '-')}" for word in (name, needed))
        raise ValueError(f"{flag}: does nothing without {other}" + (f" {value}" if value else ""))


def make_paths_absolute(options: RunOptions) -> None:
    """So that a run can be resumed from anywhere. Names that are no paths ("embedded", "start") stay."""
    for name in ("model", "data", "from_", "adapter", "reference"):
        value = getattr(options, name)
        if value and not is_name(name, value) and Path(value).exists():
            setattr(options, name, str(Path(value).absolute()))


def is_name(option: str, value: str) -> bool:
    """Whether a value that may also be a path is a name of ours, though there be a directory "mbpp" where we are."""
    names = {"model": (EMBEDDED,), "reference": ("start", "base"), "data": (*OWN, *SOURCES)}
    return value.removesuffix(STDIN) in names.get(option, ())


def validate(options: RunOptions) -> None:
    """ValueError, one line, for the first resolved option of the wrong type, out of range, or against another."""
    for item in fields(options):
        value, kind = getattr(options, item.name), item.metadata["kind"]
        allowed = (int, float) if kind is float else kind
        if value is not None and (not isinstance(value, allowed) or isinstance(value, bool) != (kind is bool)):
            raise ValueError(f"--{item.name.replace('_', '-')}: {value!r} is no {kind.__name__}")
    check_choice("algo", options.algo, tuple(ALGORITHMS))
    for name in TAKEN[options.algo] | SMALL_MODEL:
        if getattr(options, name) is None:
            raise ValueError(f"--{name.replace('_', '-')}: has no value, but {options.algo} takes it")
    check_values(options)
    check_combinations(options)


def check_values(options: RunOptions) -> None:
    """Each option that the algorithm takes, for itself."""
    choices = {
        "credit": CREDITS,
        "solutions": tuple(SOLUTIONS),
        "lr_schedule": ("linear", "constant"),
        "scale_rewards": grpo.SCALES,
        "loss_normalizer": normalizer.NORMALIZERS,
        "ratio_level": gspo.LEVELS,
        "zero_spread": ("keep", "drop", "resample"),
        "old_log_probs": ("sampler", "recompute"),
        "kl_estimator": kl.ESTIMATORS,
        "kl_in": ("loss", "reward"),
        "critic": critic.KINDS,
        "whiten": ("yes", "no"),
        "gradient_checkpointing": ("yes", "no"),
        "prompt": PROMPTS,
        "extract": RULES,
        "stop": STOPS,
        "decoder": tuple(DECODERS),
        "dtype": tuple(DTYPES),
        "device": DEVICES,
    }
    for name, values in choices.items():
        if getattr(options, name) is not None:
            check_choice(name.replace("_", "-"), getattr(options, name), values)
    for target in lora_targets(options):
        check_choice("lora-targets", target, TARGETS)
    at_least = {
        1: "steps prompts group_size epochs minibatches microbatch_rows lora_rank max_new_tokens slots "
        "keep_checkpoints kl_horizon",
        0: "warmup clip_low clip_high resample_rounds importance_cap kl_coef kl_target target_kl "
        "value_clip value_coef gamma gae_lambda eval_samples eval_every eval_problems threads checkpoint_every "
        "microbatch_tokens max_prompt_tokens",
    }
    for least, names in at_least.items():
        check_at_least(options, least, *(n for n in names.split() if getattr(options, n) is not None))
    positive = "lr critic_lr temperature max_grad_norm lora_alpha cpu_seconds"
    check_positive(options, *(n for n in positive.split() if getattr(options, n) is not None))


def check_combinations(options: RunOptions) -> None:
    """Options that contradict each other."""
    if options.zero_spread is not None and options.group_size < 2:
        raise ValueError(
            f"--group-size {options.group_size}: {options.algo} compares samples of one problem; needs at least 2"
        )
    if options.kl_coef and options.kl_in == "loss":
        kl.check_in_loss(options.kl_estimator, options.kl_weighted)
    if options.kl_weighted and not (options.kl_coef and options.kl_in == "loss"):
        raise ValueError("--kl-weighted: there is no KL in the loss; it needs --kl-coef and --kl-in loss")
    if options.kl_target and not (options.kl_coef and options.kl_in == "reward"):
        raise ValueError("--kl-target: there is no KL in the reward; it needs --kl-coef and --kl-in reward")
    if options.algo == "sft" and options.group_size != 1:
        raise ValueError(f"--group-size {options.group_size}: sft learns from one solution a problem")
    if options.importance_cap and options.old_log_probs != "recompute":
        raise ValueError(
            "--importance-cap: weighs recomputed log-probs against sampled ones; needs --old-log-probs recompute"
        )
    if options.ratio_level == "sequence" and options.credit != "uniform":
        raise ValueError(
            f"--credit {options.credit}: a ratio of the whole sequence weighs all its tokens alike; "
            "needs --ratio-level token"
        )
    if options.reward is not None:
        check_reward(options)
    for name in ("gamma", "gae_lambda"):
        if (getattr(options, name) or 0) > 1:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(options, name)}: needs at most 1")


def check_reward(options: RunOptions) -> None:
    """The reward's text, and that each of its phases can be worked out for an answer of this run.

    A component may need what there is not (a simulator), or an option may not fit the token budget: better said now
    than after the first step.
    """
    try:
        schedule = parse_schedule(options.reward, options.steps)
        steady = STEADY + (STEADY_GROUPS if options.group_size > 1 else ())
        for phase in schedule.phases:
            evaluate(phase.expression, example_answer(options.max_new_tokens))
            if phase.when and phase.when.metric not in steady:
                near = nearest(phase.when.metric, steady) or f"; there are {', '.join(steady)}"
                raise ValueError(f"{options.reward}: when {phase.when.metric}: no step would have it{near}")
    except ValueError as error:
        raise ValueError(f"--reward {error}") from None


def example_answer(budget: int) -> Answer:
    """An answer that passed its one test."""
    outcome = dataclasses.replace(lost(Task("", ("",)), ""), stage=Stage.PASSED, passed=1, tests=(Verdict("passed"),))
    text = "f = 1"
    return Answer(
        text=text,
        program=(0, len(text)),
        outcome=outcome,
        entry_point="f",
        reference=text,
        analysis=Analysis(parses=True),
        peers=(outcome,),
        tokens=1,
        budget=budget,
        token_starts=(0,),
    )


def lora_targets(options: RunOptions) -> tuple[str, ...]:
    return TARGETS if options.lora_targets == "all" else tuple(options.lora_targets.split(","))
