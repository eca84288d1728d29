"""Memory: what a run takes, estimated before anything is loaded (`run.py --dry-run`), and what the device has left.

    peak = what stays (weights, adapter, critic, reference) + the larger of sampler and learner, which take turns

The worst case: all prompts are as long as the longest, all completions use the whole budget. Only tensors count, not
the Python process, CUDA's context and the allocator's gaps. N prompts of P tokens and B completions of T tokens are in
memory together; s is the bytes of a weight.
"""

from dataclasses import dataclass, fields
from functools import cache
from itertools import product
from pathlib import Path

import torch

from rl.decoding import FUSED_ELEMENTS
from rl.logprobs import CHUNK_ELEMENTS
from rl.lora import TARGETS, targets_of
from rl.model import Decoder, ModelConfig
from rl.sample import CHOOSE_ELEMENTS, MAX_ROWS

FP32 = 4  # bytes of a number that is fp32 whatever the weights are
BYTES = {"fp32": 4, "bf16": 2}
RESERVE = 1.1  # of the estimated peak, for the gaps of the allocator
ONE_INPUT = (("q_proj", "k_proj", "v_proj"), ("o_proj",), ("gate_proj", "up_proj"), ("down_proj",))
ADVICE = {  # if there is less memory than the run takes, by its largest part
    "stays": "--dtype bf16, --critic lora or linear, or a smaller model",
    "sampler": "a smaller --group-size, --prompts, --eval-samples or --max-new-tokens",
    "learner": "--gradient-checkpointing, a smaller --microbatch-tokens or --max-new-tokens",
}
CONTROL_GROUP = (  # files of versions 2 and 1: limit, used; and which field of memory.stat is cache
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def available_memory(device: torch.device, root: Path = Path("/")) -> int:
    """Free bytes: on CUDA the driver's figure; on the CPU the least of the kernel's and of our control groups'."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    lines = (root / "proc/meminfo").read_text().splitlines()
    free = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        tree = "memory" if "memory" in controllers.split(",") else ""  # version 1 has one for each controller
        inner = root / "sys/fs/cgroup" / tree / path.lstrip("/")
        for group, (limit, used, cached) in product((inner, *inner.parents), CONTROL_GROUP):
            most = (group / limit).read_text().strip() if (group / limit).is_file() else "max"
            if most != "max":
                counts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
                # Cached files count as used, but the kernel drops them when it needs room.
                free.append(int(most) - int((group / used).read_text()) + int(counts[cached]))
    return min(free)


def check_room(directory: Path, config: ModelConfig, device: torch.device, dtype: torch.dtype) -> None:
    """ValueError, one line, if the weights alone take more memory than the device has left."""
    parameters, available = count_base(config), available_memory(device)
    needed, name = parameters * dtype.itemsize, str(dtype).removeprefix("torch.")
    if needed > available:
        sizes = f"take {needed / 1e9:.2f} GB in {name}, {device} has {available / 1e9:.2f} GB left"
        raise ValueError(f"{directory}: {parameters / 1e6:.0f} M parameters {sizes}")


@dataclass(frozen=True)
class Load:
    """What decides a run's memory: options of run.py, and the (prompts, rows) of each kind of batch that is sampled."""

    prompts: int
    group_size: int
    prompt_tokens: int
    max_new_tokens: int
    dtype: str = "fp32"
    minibatches: int = 1
    microbatch_rows: int = 128
    microbatch_tokens: int = 0
    gradient_checkpointing: bool = False
    lora_rank: int = 8
    lora_targets: tuple[str, ...] = TARGETS
    critic: str | None = None
    reference_adapter: bool = False
    sampled: tuple[tuple[int, int], ...] = ()


def read_load(options, prompt_tokens: int, chunk: int) -> Load:
    """The load of run.py's options. An evaluation samples `chunk` problems together."""
    own = options.algorithm
    reference = {"start": options.adapter, "base": ""}.get(options.reference, options.reference)
    problems = min(chunk, options.eval_problems or chunk)
    batches = [(problems, 1), (problems, options.eval_samples), (options.prompts, options.group_size)]
    values = {item.name: getattr(options, item.name) for item in fields(Load) if hasattr(options, item.name)}
    values["lora_targets"] = targets_of(options.lora_targets)
    if options.algo == "sft":  # a step samples nothing and learns one or two solutions of each problem
        del batches[2]
        values["group_size"] = 2 if own.solutions == "both" else 1
    rows = [(min(MAX_ROWS, prompts * size), size) for prompts, size in batches if size]
    return Load(
        **values,
        prompt_tokens=prompt_tokens,
        critic=getattr(own, "critic", None),
        reference_adapter=bool(getattr(own, "kl_coef", 0.0) and reference),
        sampled=tuple((-(-count // size), count) for count, size in rows),
    )


@cache
def weight_shapes(config: ModelConfig) -> dict[str, torch.Size]:
    """The shape of each parameter of the model without an adapter, by name."""
    with torch.device("meta"):  # takes no memory
        return {name: parameter.shape for name, parameter in Decoder(config).named_parameters()}


def count_base(config: ModelConfig) -> int:
    return sum(shape.numel() for shape in weight_shapes(config).values())


def linear_shapes(config: ModelConfig) -> dict[str, torch.Size]:
    """(out, in) of each linear layer of a block, by the names of LoRA's targets."""
    first = {name: shape for name, shape in weight_shapes(config).items() if name.startswith("model.layers.0.")}
    return {name.split(".")[-2]: shape for name, shape in first.items() if name.endswith("_proj.weight")}


def count_adapter(config: ModelConfig, load: Load) -> int:
    """Parameters of all LoRA layers: R (in + out) each."""
    shapes = linear_shapes(config)
    return config.num_hidden_layers * load.lora_rank * sum(sum(shapes[name]) for name in load.lora_targets)


def total(part: dict[str, int]) -> int:
    return sum(part.values())


def peak(parts: dict[str, dict[str, int]]) -> int:
    return total(parts["stays"]) + max(total(parts["sampler"]), total(parts["learner"]))


def estimate(config: ModelConfig, load: Load) -> dict[str, dict[str, int]]:
    """Bytes by part: "stays", "sampler", "learner", each a dict; `peak` adds them up."""
    base, adapter = count_base(config), count_adapter(config, load)
    trained = 4 * FP32  # a trained parameter, its gradient, AdamW's two moments
    stays = {"base weights": base * BYTES[load.dtype], "adapter and optimizer": adapter * trained}
    if load.reference_adapter:
        stays["reference's adapter"] = adapter * FP32
    if load.critic == "lora":  # on the policy's base; a linear critic is one vector
        stays["critic"] = adapter * trained
    elif load.critic == "copy":
        head = 0 if config.tie_word_embeddings else config.vocab_size * config.hidden_size  # copied, not trained
        stays["critic"] = (base - head) * trained + head * FP32
    samplers = [sampler(config, load, prompts, rows) for prompts, rows in load.sampled]
    return {"stays": stays, "sampler": max(samplers, key=total, default={}), "learner": learner(config, load)}


def sampler(config: ModelConfig, load: Load, prompts: int, rows: int) -> dict[str, int]:
    """While `rows` completions of `prompts` prompts are sampled: the larger of reading the prompts and decoding."""
    s, shapes, fused, before = BYTES[load.dtype], linear_shapes(config), 0, prompts * load.prompt_tokens
    for group in ONE_INPUT:  # rl/decoding.py's `fuse` copies small matrices
        elements = sum(shapes[name].numel() for name in group)
        if elements <= FUSED_ELEMENTS and (s == FP32 or not set(group) & set(load.lora_targets)):
            fused += config.num_hidden_layers * elements * s
    keys = config.num_hidden_layers * config.num_key_value_heads * config.head_dim * s  # of a token; values likewise
    # Of a token: input and output of a block; gate, up, silu(gate); an adapter's output, and the same scaled.
    work = before * (2 * config.hidden_size * s + config.intermediate_size * (3 * s + 2 * FP32))
    reading = {"keys and values of the prompts": 2 * before * keys, "a block at work on the prompts": work}
    logits = rows * config.vocab_size
    # A draw takes fp32 log-probabilities and their fp64 cumulative sum, of CHOOSE_ELEMENTS logits at a time.
    draw = logits * s + min(logits, CHOOSE_ELEMENTS) * (FP32 + 8)
    # Attention scores: on the prompt and on the row, both together, after softmax.
    scores = 3 * rows * config.num_attention_heads * (load.prompt_tokens + load.max_new_tokens) * s
    decoding = {
        "keys and values of the prompts": 3 * before * keys,  # transposing makes a second copy of the keys
        "keys and values of the completions": 2 * rows * load.max_new_tokens * keys,
        "logits, and the draw or attention": max(draw, 2 * logits * s + scores),
    }
    return {"fused weights": fused} | max(reading, decoding, key=total)


def microbatch(load: Load) -> tuple[int, int]:
    """(prompts N, rows B) of the largest microbatch of Learner.microbatches."""
    rows, size = min(load.microbatch_rows, -(-load.prompts * load.group_size // load.minibatches)), load.group_size
    limit = load.microbatch_tokens or float("inf")
    while rows > 1 and rows * load.max_new_tokens + -(-rows // size) * load.prompt_tokens > limit:
        rows -= 1
    return -(-rows // size), rows


def learner(config: ModelConfig, load: Load) -> dict[str, int]:
    """While one microbatch goes forward and back."""
    prompts, rows = microbatch(load)
    own, s = rows * load.max_new_tokens, BYTES[load.dtype]  # B T
    kept, working = passes(config, load, prompts, rows, s)
    # Of a chunk of the head: log-probabilities, their gradient and the logits', (M, V) each.
    head = 3 * min(own * config.vocab_size, max(CHUNK_ELEMENTS, config.vocab_size)) * FP32
    parts = {
        "adapter as it was before the step": count_adapter(config, load) * FP32,  # for metrics
        "kept for the backward pass": kept,
        "hidden states": 4 * own * config.hidden_size * s,  # normed, with the prompts', packed, gradient
        "block or head at work": max(working, head),
    }
    if load.critic in ("lora", "copy"):  # its forward pass comes before any backward pass; a copy computes in fp32
        parts["kept for the critic's"] = passes(config, load, prompts, rows, FP32 if load.critic == "copy" else s)[0]
    return parts


def passes(config: ModelConfig, load: Load, prompts: int, rows: int, s: int) -> tuple[int, int]:
    """Bytes that a forward pass keeps for its backward pass, and bytes more for the backward pass of one block."""
    before, own = prompts * load.prompt_tokens, rows * load.max_new_tokens  # N P, B T
    seen = rows * (load.prompt_tokens + load.max_new_tokens)  # keys that the completions attend to
    layers, inner, shapes = config.num_hidden_layers, config.intermediate_size, linear_shapes(config)
    queries, keys = shapes["q_proj"][0], shapes["k_proj"][0]  # H Dh, K Dh
    # A block keeps of a token: inputs of norms and LoRA layers in fp32 (a copy for each layer if s is less), gate, up,
    # silu(gate), q and attention's output; and of a key that is seen: key and value, repeated for each query head.
    groups = ONE_INPUT if s == FP32 else [(name,) for name in shapes]
    adapted = [shapes[group[0]][1] for group in groups if set(group) & set(load.lora_targets)]
    norms = 2 * config.hidden_size + (queries + keys if config.qk_norm else 0)
    inputs = norms + sum(adapted) + len(load.lora_targets) * load.lora_rank
    both = ((before, before), (own, seen))  # the prompts go through the model first
    kept = [tokens * (FP32 * inputs + s * (3 * inner + 2 * queries)) + 2 * ks * queries * s for tokens, ks in both]
    # The backward pass adds gradients of the MLP; or of keys and values, when the MLP's tensors are gone.
    more = [max(n * inner * (FP32 + s), 2 * ks * queries * s - n * inner * (FP32 + 3 * s)) for n, ks in both]
    prefix, mask = 2 * layers * before * keys * s, seen * load.max_new_tokens * s  # the prompts' keys and values
    if not load.gradient_checkpointing:
        return layers * sum(kept) + prefix + mask, more[1]
    # A block keeps its input only and is computed again. Gradients of the prefix replace the completions' inputs.
    stream = layers * config.hidden_size * s
    return before * stream + max(own * stream, prefix) + prefix + mask, max(kept[0] + more[0], kept[1] + more[1])


def describe_memory(options, config: ModelConfig, prompt_tokens: int, device: torch.device, chunk: int) -> str:
    """The table: the parts in GB, their peak, what the device has left, and what to change if that is too little."""
    load, available = read_load(options, prompt_tokens, chunk), available_memory(device)
    parts, (prompts, rows) = estimate(config, load), microbatch(load)
    learning = f"while it learns, {rows} completions of {prompts} prompts at a time"
    lines = []
    for name, title in (("stays", "from start to end"), ("sampler", "while it samples"), ("learner", learning)):
        lines += [(title, total(parts[name])), *((f"  {part}", size) for part, size in parts[name].items())]
    lines += [("peak", peak(parts)), (f"{device.type} has left", available)]
    budgets = f"prompts of up to {prompt_tokens} tokens, completions of {load.max_new_tokens}, {load.dtype} weights"
    table = [f"estimated memory in GB; {budgets}", *(f"{title:<60}{size / 1e9:>9.3f}" for title, size in lines)]
    if peak(parts) * RESERVE > available:
        largest = max(parts, key=lambda name: total(parts[name]))
        table.append(f"this does not fit; try {ADVICE[largest]}")
    return "\n".join(table)
