"""What a run will take of memory, as a table, before anything is loaded: memory.py's estimate."""

from dataclasses import fields

from experiments.eval import CHUNK
from experiments.inputs.memory import Load, estimate, microbatch, peak
from experiments.inputs.policy import choose_device
from experiments.settings import RunOptions, lora_targets
from rl.available import available_memory
from rl.model import ModelConfig
from rl.sample import MAX_ROWS

RESERVE = 1.1  # of the estimated peak: what the allocator rounds up and cannot use


def memory_load(options: RunOptions, prompt_tokens: int) -> Load:
    """The resolved options, and the length of the longest prompt, as the estimate wants them. An adapter to start from
    is taken to have the rank that the options name."""
    same = {item.name for item in fields(Load)} & {item.name for item in fields(RunOptions)} - {"lora_targets"}
    start = {"start": options.adapter, "base": ""}.get(options.reference, options.reference)
    return Load(
        **{name: getattr(options, name) for name in same},
        prompt_tokens=prompt_tokens,
        lora_targets=lora_targets(options),
        reference_adapter=bool(options.kl_coef and start),
        sampled=tuple(sampled_batches(options).values()),
    )


def sampled_batches(options: RunOptions) -> dict[str, tuple[int, int]]:
    """(prompts, rows) that are decoded together: of a step, and of an evaluation, greedy and sampled."""
    problems = min(CHUNK, options.eval_problems or CHUNK)
    groups = {"evaluation, greedy": (problems, 1)}
    if options.eval_samples:
        groups["evaluation, sampled"] = (problems, options.eval_samples)
    if options.algo != "sft":
        groups["step"] = (options.prompts, options.group_size)
    batches = {}
    for name, (prompts, size) in groups.items():
        rows = min(MAX_ROWS, prompts * size)
        batches[name] = (-(-rows // size), rows)
    return batches


def describe_memory(options: RunOptions, config: ModelConfig, prompt_tokens: int, available: int | None = None) -> str:
    """The parts in GB, their peak, what the device has left (looked up where `available` is None), and where that is
    too little, what to change."""
    device = choose_device(options.device)
    available = available_memory(device) if available is None else available
    load = memory_load(options, prompt_tokens)
    parts = estimate(config, load)
    prompts, rows = microbatch(load)
    titles = {
        "stays": "from start to end",
        "sampler": "while it samples",
        "learner": f"while it learns, {rows} completions of {prompts} prompts at a time",
    }
    lines = [
        f"estimated memory in GB; prompts of up to {prompt_tokens} tokens, completions of {options.max_new_tokens}, "
        f"{options.dtype} weights"
    ]
    for name, title in titles.items():
        lines.append(format_line(title, sum(parts[name].values())))
        lines += [format_line(f"  {part}", size) for part, size in parts[name].items()]
    lines.append(format_line("peak", peak(parts)))
    lines.append(format_line(f"{device.type} has left", available))
    if peak(parts) * RESERVE > available:
        lines.append(f"this does not fit; {hint(options, parts, load)}")
    return "\n".join(lines)


def format_line(title: str, size: int) -> str:
    return f"{title:<60}{size / 1e9:>9.3f}"


def hint(options: RunOptions, parts: dict[str, dict[str, int]], load: Load) -> str:
    """What to change first, where memory is short: the largest of what takes turns, or what stays."""
    sizes = {name: sum(values.values()) for name, values in parts.items()}
    largest = max(sizes, key=sizes.get)
    if largest == "stays":
        if options.critic == "copy":
            return "--critic lora or linear takes no copy of the model"
        return "try --dtype bf16" if options.dtype == "fp32" else "try a smaller model"
    if largest == "learner":
        if options.gradient_checkpointing == "no":
            return "try --gradient-checkpointing yes"
        rows = microbatch(load)[1]
        return f"try --microbatch-rows {rows // 2}" if rows > 1 else "try a smaller --max-new-tokens"
    batches = sampled_batches(options)
    most = max(batches, key=lambda name: batches[name][1])
    if most == "step":
        return "try a smaller --group-size, --prompts or --max-new-tokens"
    return "try a smaller --eval-samples or --max-new-tokens"
