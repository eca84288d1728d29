"""How much memory a run needs, from the shape of its model and its options alone: arithmetic, nothing is loaded.

    peak = what stays (weights, adapter, critic, reference) + max(sampler, learner), which take turns

It is the worst case: every prompt is as long as the longest, every completion as long as the token budget. Counted are
tensors; the Python process, CUDA's context and libraries and what the allocator wastes come on top.

Letters: D width, I width within the MLP, V vocabulary, L layers, H query and K key-value heads of width Dh, R rank of
the LoRA layers; N prompts of P tokens and B completions of T tokens that are in memory together. s is the bytes of a
weight, f those of a number that is kept in fp32 whatever the weights are.
"""

from dataclasses import dataclass, replace

from rl.decoding import FUSED_ELEMENTS
from rl.logprobs import CHUNK_ELEMENTS
from rl.lora import TARGETS
from rl.model import ModelConfig
from rl.sample import CHOOSE_ELEMENTS

BYTES = {"fp32": 4, "bf16": 2}
FP32 = 4  # f


@dataclass(frozen=True)
class Load:
    """What a run asks of memory; run.py has options of the same names."""

    prompts: int  # of a step
    group_size: int
    prompt_tokens: int  # of the longest prompt
    max_new_tokens: int
    dtype: str = "fp32"
    minibatches: int = 1
    microbatch_rows: int = 128
    microbatch_tokens: int = 0
    gradient_checkpointing: str = "no"
    lora_rank: int = 8
    lora_targets: tuple[str, ...] = TARGETS
    critic: str | None = None
    reference_adapter: bool = False  # whether the reference policy has an adapter of its own
    sampled: tuple[tuple[int, int], ...] = ()  # (prompts, rows) of each kind of batch that is decoded

    @property
    def s(self) -> int:
        return BYTES[self.dtype]


def estimate(config: ModelConfig, load: Load) -> dict[str, dict[str, int]]:
    """Bytes by part: "stays", "sampler", "learner", each a dict; their sums make `peak`."""
    return {"stays": stays(config, load), "sampler": sampler(config, load), "learner": learner(config, load)}


def peak(parts: dict[str, dict[str, int]]) -> int:
    """Bytes at the worst moment of the run that `estimate` describes."""
    turns = (sum(parts["sampler"].values()), sum(parts["learner"].values()))
    return sum(parts["stays"].values()) + max(turns)


# what stays ------------------------------------------------------------------------------------------------


def linear_shapes(config: ModelConfig) -> dict[str, tuple[int, int]]:
    """(in, out) of each linear layer of a block, by the names of LoRA's targets."""
    width, inner = config.hidden_size, config.intermediate_size
    queries, keys = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    return {
        "q_proj": (width, queries),
        "k_proj": (width, keys),
        "v_proj": (width, keys),
        "o_proj": (queries, width),
        "gate_proj": (width, inner),
        "up_proj": (width, inner),
        "down_proj": (inner, width),
    }


def count_base(config: ModelConfig) -> int:
    """Parameters of the model without an adapter."""
    shapes, width = linear_shapes(config), config.hidden_size
    block = sum(inputs * outputs for inputs, outputs in shapes.values())
    if config.qkv_bias:
        block += sum(shapes[name][1] for name in ("q_proj", "k_proj", "v_proj"))
    block += 2 * width + (2 * config.head_dim if config.qk_norm else 0)  # norms
    tables = 1 if config.tie_word_embeddings else 2  # embedding and head
    return tables * config.vocab_size * width + config.num_hidden_layers * block + width


def count_adapter(config: ModelConfig, load: Load) -> int:
    """Parameters of all LoRA layers: R x (in + out) each."""
    shapes = linear_shapes(config)
    return config.num_hidden_layers * load.lora_rank * sum(sum(shapes[name]) for name in load.lora_targets)


def stays(config: ModelConfig, load: Load) -> dict[str, int]:
    """What is in memory from the first step to the last."""
    base, adapter = count_base(config), count_adapter(config, load)
    parts = {
        "base weights": base * load.s,
        "adapter and optimizer": 4 * adapter * FP32,  # A and B, their gradients, AdamW's two moments
    }
    if load.reference_adapter:
        parts["reference's adapter"] = adapter * FP32
    # As above. A linear critic is one vector, and its base is the policy's own.
    if load.critic == "lora":
        parts["critic"] = 4 * adapter * FP32
    elif load.critic == "copy":
        head = 0 if config.tie_word_embeddings else config.vocab_size * config.hidden_size  # copied, but not trained
        parts["critic"] = (4 * (base - head) + head) * FP32
    return parts


# the sampler -----------------------------------------------------------------------------------------------


def sampler(config: ModelConfig, load: Load) -> dict[str, int]:
    """While completions are sampled: the worse of reading the prompts and decoding, of all batches that there are."""
    moments = [phase(config, load, *sizes) for sizes in load.sampled for phase in (reading, decoding)]
    return max(moments, key=lambda parts: sum(parts.values()), default={})


def reading(config: ModelConfig, load: Load, prompts: int, rows: int) -> dict[str, int]:
    """While the prompts go through the model."""
    before = prompts * load.prompt_tokens  # N P
    # Of a token: the stream before and after; the MLP's gate, up and silu(gate), and an adapter's term and its scaled.
    work = before * (2 * config.hidden_size * load.s + config.intermediate_size * (3 * load.s + 2 * FP32))
    return {
        "fused weights": fused_weights(config, load),
        "keys and values of the prompts": 2 * before * cache_of_token(config, load),
        "a block at work on the prompts": work,
    }


def decoding(config: ModelConfig, load: Load, prompts: int, rows: int) -> dict[str, int]:
    """While `rows` completions of `prompts` prompts are decoded together."""
    cache, logits = cache_of_token(config, load), rows * config.vocab_size
    # Of as many logits as are looked at together: log-probabilities in fp32 and their cumulative sum in fp64.
    draw = logits * load.s + min(logits, CHOOSE_ELEMENTS) * (FP32 + 8)
    # While the next logits are made: scores of attention to the prompt and to the row, together, and after softmax.
    scores = 3 * rows * config.num_attention_heads * (load.prompt_tokens + load.max_new_tokens) * load.s
    return {
        "fused weights": fused_weights(config, load),
        # The keys are transposed, all layers after each other, so for a moment they are there twice.
        "keys and values of the prompts": 3 * prompts * load.prompt_tokens * cache,
        "keys and values of the completions": 2 * rows * load.max_new_tokens * cache,
        "logits, and the draw or attention": max(draw, 2 * logits * load.s + scores),
    }


def cache_of_token(config: ModelConfig, load: Load) -> int:
    """Bytes of one token's keys in all layers; its values take as much."""
    return config.num_hidden_layers * config.num_key_value_heads * config.head_dim * load.s


def fused_weights(config: ModelConfig, load: Load) -> int:
    """The copies that `fuse` makes of a small model's matrices."""
    shapes, copied = linear_shapes(config), 0
    for group in (("q_proj", "k_proj", "v_proj"), ("o_proj",), ("gate_proj", "up_proj"), ("down_proj",)):
        elements = sum(shapes[name][0] * shapes[name][1] for name in group)
        adapted = bool(set(group) & set(load.lora_targets))
        if elements <= FUSED_ELEMENTS and (load.s == FP32 or not adapted):
            copied += elements
    return config.num_hidden_layers * copied * load.s


# the learner -----------------------------------------------------------------------------------------------


def microbatch(load: Load) -> tuple[int, int]:
    """(prompts N, rows B) of the largest microbatch, as Learner.microbatches cuts them."""
    most = min(load.microbatch_rows, -(-load.prompts * load.group_size // load.minibatches))
    rows = 1
    while rows < most and _tokens(load, rows + 1) <= (load.microbatch_tokens or float("inf")):
        rows += 1
    return -(-rows // load.group_size), rows


def _tokens(load: Load, rows: int) -> int:
    return rows * load.max_new_tokens + -(-rows // load.group_size) * load.prompt_tokens


def learner(config: ModelConfig, load: Load) -> dict[str, int]:
    """While one microbatch goes forward and back."""
    prompts, rows = microbatch(load)
    own = rows * load.max_new_tokens  # B T
    kept, working = passes(config, load, prompts, rows)
    # Of a chunk of the head: log-probabilities, their gradient and the logits', (M, V) each.
    head = 3 * min(own * config.vocab_size, max(CHUNK_ELEMENTS, config.vocab_size)) * FP32
    parts = {
        "adapter as it was before the step": count_adapter(config, load) * FP32,  # to measure how far it went
        "kept for the backward pass": kept,
        "hidden states": 4 * own * config.hidden_size * load.s,  # the last norm's, with the prompts', packed, gradient
        "block or head at work": max(working, head),
    }
    if load.critic in ("lora", "copy"):  # its forward pass comes before any backward pass; a copy computes in fp32
        alike = load if load.critic == "lora" else replace(load, dtype="fp32")
        parts["kept for the critic's"] = passes(config, alike, prompts, rows)[0]
    return parts


def passes(config: ModelConfig, load: Load, prompts: int, rows: int) -> tuple[int, int]:
    """What a forward pass keeps until its backward pass, and what more there is while that is at a block."""
    layers, s = config.num_hidden_layers, load.s
    before, own = prompts * load.prompt_tokens, rows * load.max_new_tokens  # N P, B T
    # The prompts go through the model first, then the completions, which see P + T keys a row.
    of_prompts = block(config, load, before, before)
    of_own = block(config, load, own, rows * (load.prompt_tokens + load.max_new_tokens))
    prefix = 2 * layers * before * config.num_key_value_heads * config.head_dim * s  # keys and values of the prompts
    mask = own * (load.prompt_tokens + load.max_new_tokens) * s
    if load.gradient_checkpointing == "no":
        return layers * (of_prompts.kept + of_own.kept) + prefix + mask, of_own.passing
    # Each block's input is kept; the rest is there while the block is computed again. Layer by layer, the inputs of the
    # completions then give way to the gradients of the prompts' keys and values.
    inputs = layers * config.hidden_size * s
    kept = before * inputs + max(own * inputs, prefix) + prefix + mask
    return kept, max(of_own.kept + of_own.passing, of_prompts.kept + of_prompts.passing)


@dataclass(frozen=True)
class BlockBytes:
    kept: int  # from the forward to the backward pass
    passing: int  # more, while the backward pass is at this block


def block(config: ModelConfig, load: Load, tokens: int, seen: int) -> BlockBytes:
    """Of one block and `tokens` tokens, whose rows have `seen` keys in all."""
    width, inner, s = config.hidden_size, config.intermediate_size, load.s
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    shapes = linear_shapes(config)
    if s == FP32:  # q, k and v keep one and the same input, and so do gate and up
        groups = [("q_proj", "k_proj", "v_proj"), ("o_proj",), ("gate_proj", "up_proj"), ("down_proj",)]
    else:  # each makes its own fp32 copy
        groups = [(name,) for name in shapes]
    adapted = [group for group in groups if set(group) & set(load.lora_targets)]
    inputs = sum(shapes[group[0]][0] for group in adapted) + len(load.lora_targets) * load.lora_rank
    norms = 2 * width + (queries + keys if config.qk_norm else 0)  # what goes into a norm is kept in fp32
    kept = tokens * (FP32 * (inputs + norms) + s * (3 * inner + 2 * queries))  # gate, up, silu(gate); q, attention out
    spread = 2 * seen * queries * s  # keys and values, those of a head group repeated for each of its queries
    # The backward pass adds gradients: at the MLP two as wide as it is, the LoRA's and its own; at attention those of
    # keys and values, but by then the MLP's tensors are gone.
    mlp = tokens * inner * (FP32 + s)
    attention = spread - tokens * inner * (FP32 + 3 * s)
    return BlockBytes(kept + spread, max(mlp, attention))


def describe_memory(*a):
    return ""
