"""A decoder for Llama, Qwen2 and Qwen3 checkpoints in plain PyTorch, read from a Hugging Face directory.

One block = RMSNorm -> grouped-query attention with RoPE -> RMSNorm -> SwiGLU. The three families differ in
two switches only: Qwen2 has a bias on q, k and v; Qwen3 normalises each head of q and k (QK-norm).

Two things are unlike the usual decoder, both because a group of G rollouts shares one prompt:

* Tokens are *packed*. A right-padded batch (B, T) comes in with its lengths; the linear layers see only the
  M real tokens, and only attention sees the padded shape. Masks come from lengths, never from token ids.
* A batch may continue a `Prefix`: keys and values of N prompts, computed once by `Decoder.prefill`. Row b
  then attends to the prompt `prompt_of_row[b]` and to itself. Gradients flow into the prefix.

Shapes: B rows, T positions, M = sum(lengths) real tokens, N prompts, P prompt positions, V vocabulary,
D width, H query heads, K key-value heads, Dh head width, L layers.
"""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rl.files.config import ModelConfig, config_fields, read_config, read_json
from rl.files.config import check_window as check_window

# packing and prefix ----------------------------------------------------------------------------------------


class Layout:
    """Where the M real tokens of a right-padded batch (B, T) sit, and at which position each of them is.

    `index` (M,) points into the flattened (B * T); `position` (M,) counts from the start of the sequence, so
    the row's prefix of `offset` (B,) tokens is counted too.
    """

    def __init__(self, lengths: Tensor, width: int, offset: Tensor | None = None):
        steps = torch.arange(width, device=lengths.device)
        self.shape = (len(lengths), width)
        self.index = (steps < lengths[:, None]).flatten().nonzero().squeeze(1)  # (M,)
        self.full = len(self.index) == len(lengths) * width
        positions = steps.repeat(len(lengths), 1) if offset is None else steps + offset[:, None]  # (B, T)
        self.position = positions.flatten()[self.index]  # (M,)

    def pack(self, padded: Tensor) -> Tensor:
        """(B, T, ...) -> (M, ...)"""
        flat = padded.flatten(0, 1)
        return flat if self.full else flat.index_select(0, self.index)

    def pad(self, packed: Tensor) -> Tensor:
        """(M, ...) -> (B, T, ...), zeros at the padding."""
        if not self.full:
            zeros = packed.new_zeros(self.shape[0] * self.shape[1], *packed.shape[1:])
            packed = zeros.index_copy(0, self.index, packed)
        return packed.unflatten(0, self.shape)


@dataclass
class Prefix:
    """Keys and values of N prompts, right-padded to P: what a group shares."""

    keys: list[Tensor]  # L x (N, K, P, Dh)
    values: list[Tensor]  # L x (N, K, P, Dh)
    lengths: Tensor  # (N,)


def prefix_mask(prefix_lengths: Tensor, prefix_width: int, width: int) -> Tensor:
    """True where a query may look: the row's prompt, then the row itself up to the query. (B, 1, T, P + T)"""
    device, rows = prefix_lengths.device, len(prefix_lengths)
    in_prompt = torch.arange(prefix_width, device=device) < prefix_lengths[:, None]  # (B, P)
    causal = torch.ones(width, width, dtype=torch.bool, device=device).tril()  # (T, T)
    both = (in_prompt[:, None, :].expand(rows, width, prefix_width), causal.expand(rows, width, width))
    return torch.cat(both, dim=2)[:, None]


# layers ----------------------------------------------------------------------------------------------------


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)  # squares and mean in fp32, if x is bf16


def rope_frequencies(config: ModelConfig, device: torch.device) -> Tensor:
    """By how many radians each pair of a head's dimensions turns from one position to the next. (Dh/2,) fp32

    Su et al. 2021, section 3.2.2. Scaling "linear" (Chen et al. 2023, "Extending Context Window of Large Language
    Models via Positional Interpolation") slows all of them down by the factor. "llama3" (Llama 3.1's reference code)
    leaves those alone that turn high_freq_factor times or more within the window of pretraining, as they tell near
    positions apart; slows down those that turn low_freq_factor times or less; and mixes the two between.
    """
    exponent = torch.arange(0, config.head_dim, 2, device=device).float() / config.head_dim
    frequency = 1.0 / config.rope_theta**exponent  # (Dh/2,)
    scaling = config.rope_scaling
    if scaling is None:
        return frequency
    slowed = frequency / scaling.factor
    if scaling.rope_type == "linear":
        return slowed
    turns = scaling.original_max_position_embeddings * frequency / (2 * math.pi)
    kept = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    kept = kept.clamp(0, 1)
    return kept * frequency + (1 - kept) * slowed


def rope_tables(position: Tensor, frequency: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosine and sine of each position's angles, two of (M, 1, Dh/2): the 1 is for the heads.

    The angles are fp32 whatever the dtype: in bf16 positions from 256 on are rounded.
    """
    angle = position.float()[:, None] * frequency  # (M, Dh/2)
    return angle.cos()[:, None].to(dtype), angle.sin()[:, None].to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE (Su et al. 2021, eq. 34) in the half-split order of Hugging Face checkpoints. x: (M, heads, Dh)"""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class Attention(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        width, heads, kv_heads = config.hidden_size, config.num_attention_heads, config.num_key_value_heads
        self.head_dim = config.head_dim
        self.q_proj = nn.Linear(width, heads * self.head_dim, bias=config.qkv_bias)
        self.k_proj = nn.Linear(width, kv_heads * self.head_dim, bias=config.qkv_bias)
        self.v_proj = nn.Linear(width, kv_heads * self.head_dim, bias=config.qkv_bias)
        self.o_proj = nn.Linear(heads * self.head_dim, width, bias=False)
        self.q_norm = RMSNorm(self.head_dim, config.rms_norm_eps) if config.qk_norm else nn.Identity()
        self.k_norm = RMSNorm(self.head_dim, config.rms_norm_eps) if config.qk_norm else nn.Identity()

    def forward(self, x: Tensor, rope, layout: Layout, past, mask: Tensor | None):
        """x (M, D) -> (M, D), and this batch's own keys and values, each (B, K, T, Dh).

        `past` is None or the rows' prompt keys and values, each (B, K, P, Dh), with `mask` (B, 1, T, P + T).
        """
        q = rotate(self.q_norm(self.q_proj(x).unflatten(-1, (-1, self.head_dim))), *rope)  # (M, H, Dh)
        k = rotate(self.k_norm(self.k_proj(x).unflatten(-1, (-1, self.head_dim))), *rope)  # (M, K, Dh)
        v = self.v_proj(x).unflatten(-1, (-1, self.head_dim))  # (M, K, Dh)
        q, k, v = (layout.pad(t).transpose(1, 2) for t in (q, k, v))  # (B, H or K, T, Dh)
        seen = (k, v) if past is None else (torch.cat([past[0], k], 2), torch.cat([past[1], v], 2))
        share = q.shape[1] // k.shape[1]  # query heads per key-value head
        keys, values = (t.repeat_interleave(share, dim=1) if share > 1 else t for t in seen)
        # Padding sits to the right, so without a prefix the causal mask alone hides it from every real token.
        out = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask, is_causal=mask is None)
        return self.o_proj(layout.pack(out.transpose(1, 2).flatten(2))), k, v


class MLP(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, rope, layout: Layout, past, mask: Tensor | None):
        attended, k, v = self.self_attn(self.input_layernorm(x), rope, layout, past, mask)
        x = x + attended
        return x + self.mlp(self.post_attention_layernorm(x)), k, v


class Decoder(nn.Module):
    """The whole model. Its parameters carry the names of Hugging Face checkpoints.

    `model(ids, lengths)` gives the final-normed hidden states, `model.logits(hidden)` the head. There is no
    dropout anywhere, so train and eval modes are the same.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        # Empty, as whoever makes a Decoder fills it. The normal distribution that nn.Embedding(V, D) would draw makes
        # PyTorch load its compiler, if on the device "meta": a second or more, at each start of a program.
        embeddings = torch.empty(config.vocab_size, config.hidden_size)  # (V, D)
        self.model = nn.ModuleDict(
            {
                "embed_tokens": nn.Embedding.from_pretrained(embeddings, freeze=False),
                "layers": nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers)),
                "norm": RMSNorm(config.hidden_size, config.rms_norm_eps),
            }
        )
        tied = config.tie_word_embeddings
        self.lm_head = None if tied else nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        # Whether each block is computed again in the backward pass: a third more time, and one block's activations.
        self.gradient_checkpointing = False

    @property
    def device(self) -> torch.device:
        return self.model.embed_tokens.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.embed_tokens.weight.dtype

    @property
    def head_weight(self) -> Tensor:
        """(V, D)"""
        return self.model.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V)"""
        return F.linear(hidden, self.head_weight)

    def forward(self, ids: Tensor, lengths: Tensor, prefix: Prefix | None = None, prompt_of_row=None) -> Tensor:
        """Hidden states of a right-padded batch, zeros at the padding.

        ids (B, T) and lengths (B,), int64. With a prefix, row b continues its prompt `prompt_of_row[b]`, so
        prompt_of_row is (B,) int64. Returns (B, T, D).
        """
        return self._run(ids, lengths, prefix, prompt_of_row)[0]

    def prefill(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Prefix]:
        """Like forward for N prompts (N, P), and also the `Prefix` that their groups will share."""
        hidden, keys, values = self._run(ids, lengths, None, None)
        return hidden, Prefix(keys, values, lengths)

    def _run(self, ids, lengths, prefix, prompt_of_row):
        config, mask, offset = self.config, None, None
        if prefix is not None:
            offset = prefix.lengths[prompt_of_row]  # (B,)
            mask = prefix_mask(offset, prefix.keys[0].shape[2], ids.shape[1])
        layout = Layout(lengths, ids.shape[1], offset)
        x = self.model.embed_tokens(layout.pack(ids))  # (M, D)
        if mask is not None:  # as a bias, once: of a bool mask every layer's attention makes, and keeps, its own
            mask = x.new_zeros(mask.shape).masked_fill_(~mask, -torch.inf)  # (B, 1, T, P + T)
        rope = rope_tables(layout.position, rope_frequencies(config, x.device), x.dtype)
        keys, values = [], []
        recomputed = self.gradient_checkpointing and torch.is_grad_enabled()
        for i in range(len(self.model.layers)):
            arguments = (i, x, rope, layout, prefix, prompt_of_row, mask)
            if recomputed:
                # Not the reentrant kind, which gives no gradient to what lies within another argument, as the
                # prefix's keys and values do. Nothing here is random, so no generator needs to be put back.
                x, k, v = checkpoint(self._run_block, *arguments, use_reentrant=False, preserve_rng_state=False)
            else:
                x, k, v = self._run_block(*arguments)
            if prefix is None:  # what continues a prefix is not continued itself: its own would only take memory
                keys.append(k)
                values.append(v)
        return layout.pad(self.model.norm(x)), keys, values

    def _run_block(self, i: int, x: Tensor, rope, layout: Layout, prefix: Prefix | None, prompt_of_row, mask):
        """Block i. The prefix is spread over the rows in here, for a copy for each row must not outlive its block."""
        past = prefix and (prefix.keys[i][prompt_of_row], prefix.values[i][prompt_of_row])
        return self.model.layers[i](x, rope, layout, past, mask)


def pad_right(rows: list[list[int]], device="cpu") -> tuple[Tensor, Tensor]:
    """Token ids of unequal length -> ids (B, T) and lengths (B,). The padding is 0 and is never looked at."""
    lengths = [len(row) for row in rows]
    width = max(lengths)
    ids = torch.tensor([row + [0] * (width - len(row)) for row in map(list, rows)], dtype=torch.int64)
    return ids.view(len(rows), width).to(device), torch.tensor(lengths, device=device)


# files -----------------------------------------------------------------------------------------------------


def init_model(config: ModelConfig, seed: int) -> Decoder:
    """A random fp32 model: normal(0, 0.02); 0.02 / sqrt(2 L) for the matrices that write to the residual."""
    model = Decoder(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight"):
                parameter.fill_(1.0)
            elif name.endswith("bias"):
                parameter.zero_()
            else:
                residual = name.endswith(("o_proj.weight", "down_proj.weight"))
                std = 0.02 / (2 * config.num_hidden_layers) ** 0.5 if residual else 0.02
                parameter.normal_(0.0, std, generator=generator)
    return model


def load_model(directory, device="cpu", dtype: torch.dtype = torch.float32) -> Decoder:
    """Read a Hugging Face directory: `config.json` and `model.safetensors`, or shards with their index.

    Besides the model, loading takes the memory of the files' pages that the kernel may drop again; what is stored in
    the dtype that is asked for stays in those pages on the CPU, and is not copied.

    ValueError, one line: no weights, weights in pickles only, a tensor that is missing, unknown or of another shape, a
    damaged file.
    """
    directory, device = Path(directory), torch.device(device)
    config = read_config(directory)
    with torch.device("meta"):
        model = Decoder(config)
    expected = {name: parameter.shape for name, parameter in model.named_parameters()}
    where = _find_tensors(directory)
    # Llama files of old carry the RoPE frequencies, and some tied checkpoints store the head a second time.
    names = {name for name in where if not name.endswith("rotary_emb.inv_freq")}
    tied_copy = config.tie_word_embeddings and "lm_head.weight" in names
    names -= {"lm_head.weight"} if tied_copy else set()
    if missing := sorted(expected.keys() - names):
        raise ValueError(f"{directory}: tensor {missing[0]} is missing ({len(missing)} missing in all)")
    if extra := sorted(names - expected.keys()):
        raise ValueError(f"{where[extra[0]]}: tensor {extra[0]} is not in a {config.model_type} model")

    tensors = {}
    for file in sorted(set(where.values())):
        with open_tensors(file) as stored:
            for name in expected:
                if where[name] == file:
                    tensor = _read_tensor(stored, file, name, expected[name])
                    tensors[name] = tensor.to(device=device, dtype=dtype)
    if tied_copy:
        file = where["lm_head.weight"]
        with open_tensors(file) as stored:
            head = _read_tensor(stored, file, "lm_head.weight", expected["model.embed_tokens.weight"])
        if not torch.equal(head.to(device=device, dtype=dtype), tensors["model.embed_tokens.weight"]):
            raise ValueError(f"{file}: lm_head.weight is not the embedding, though config.json ties them")
    model.load_state_dict(tensors, assign=True)
    return model


def _read_tensor(stored, file: Path, name: str, shape: torch.Size) -> Tensor:
    """A tensor of an open file; ValueError if it has another shape or no number format of weights."""
    tensor = stored.get_tensor(name)
    if tensor.shape != shape:
        raise ValueError(f"{file}: tensor {name} has shape {tuple(tensor.shape)}, config.json says {tuple(shape)}")
    if tensor.dtype not in (torch.bfloat16, torch.float16, torch.float32):
        raise ValueError(f"{file}: tensor {name} is {tensor.dtype}: weights are read in bf16, fp16 or fp32 only")
    return tensor


def _find_tensors(directory: Path) -> dict[str, Path]:
    """Name of each stored tensor -> the file that holds it."""
    single, index = directory / "model.safetensors", directory / "model.safetensors.index.json"
    if single.is_file():
        with open_tensors(single) as stored:
            return dict.fromkeys(stored.keys(), single)
    if not index.is_file():
        raise ValueError(_no_weights(directory))
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(file, str) for file in names.values()):
        raise ValueError(f"{index}: weight_map: an object of tensor name -> file is needed")
    where = {name: directory / file for name, file in names.items()}
    for file in sorted(set(where.values())):
        with open_tensors(file) as stored:
            stored_names = set(stored.keys())
        if absent := sorted(name for name in where if where[name] == file and name not in stored_names):
            raise ValueError(f"{file}: tensor {absent[0]} is missing, though {index.name} lists it")
    return where


def _no_weights(directory: Path) -> str:
    """What there is instead of safetensors, and the way out."""
    pickles = sorted(path.name for pattern in ("pytorch_model*", "consolidated*") for path in directory.glob(pattern))
    if not pickles:
        return f"{directory}: no weights: neither model.safetensors nor model.safetensors.index.json"
    convert = "AutoModelForCausalLM.from_pretrained(OLD).save_pretrained(NEW)"
    return (
        f"{directory}: weights only in pickles ({pickles[0]}), which can run code and are not loaded; if you trust them"
        f", make safetensors with transformers: {convert}, and copy the tokenizer's files"
    )


def open_tensors(path: Path):
    """A safetensors file, open for reading; ValueError if it is absent or damaged."""
    try:
        return safe_open(path, framework="pt")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file, or a damaged one: {error}") from error


def save_model(model: Decoder, directory, dtype: torch.dtype = torch.bfloat16, extra: dict | None = None) -> None:
    """Write `config.json` and `model.safetensors`, loadable by us and by transformers' AutoModelForCausalLM.

    A tied head is not stored a second time. `extra` adds fields to config.json (eos_token_id, ...). LoRA
    layers must be merged first: ValueError otherwise.
    """
    directory, config = Path(directory), model.config
    tensors = {name: parameter.detach().to("cpu", dtype).contiguous() for name, parameter in model.named_parameters()}
    if adapters := [name for name in tensors if "lora_" in name]:
        raise ValueError(f"{directory}: cannot save a model with LoRA layers unmerged ({adapters[0]})")
    directory.mkdir(parents=True, exist_ok=True)
    fields = config_fields(config, str(dtype).removeprefix("torch.")) | (extra or {})
    (directory / "config.json").write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
    # In place of an older file, not into it: whoever has loaded that one may still read its pages.
    temporary = directory / "model.safetensors.tmp"
    save_file(tensors, temporary, metadata={"format": "pt"})
    os.replace(temporary, directory / "model.safetensors")
