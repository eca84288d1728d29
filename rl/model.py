"""A decoder for Llama, Qwen2 and Qwen3 checkpoints in plain PyTorch.

One block = RMSNorm -> grouped-query attention with RoPE -> RMSNorm -> SwiGLU. The three families differ in two
switches: Qwen2 has a bias on q, k and v; Qwen3 normalises each head of q and k (QK-norm).

Two things differ from the usual decoder:

* Tokens are *packed*. The input is a right-padded batch (B, T) with its lengths; linear layers see only the M real
  tokens, and only attention sees the padded shape. Masks come from lengths, never from token ids.
* A batch may continue a `Prefix`: keys and values of N prompts, computed once by `Decoder.prefill`. Row b attends to
  the prompt `prompt_of_row[b]` and to itself. Gradients flow into the prefix.

Shapes: B rows, T positions, M = sum(lengths) real tokens, N prompts, P prompt positions, V vocabulary,
D width, H query heads, K key-value heads, Dh head width, L layers.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True)
class RopeScaling:
    """RoPE for a longer window than that of pretraining, in the names of `config.json`."""

    rope_type: str  # linear | llama3
    factor: float  # at least 1
    low_freq_factor: float | None = None  # from here on llama3 only
    high_freq_factor: float | None = None
    original_max_position_embeddings: int | None = None


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a decoder, in the names of Hugging Face's `config.json`."""

    model_type: str  # llama | qwen2 | qwen3
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-6
    tie_word_embeddings: bool = False
    max_position_embeddings: int = 2048
    rope_scaling: RopeScaling | None = None

    @property
    def qkv_bias(self) -> bool:
        return self.model_type == "qwen2"

    @property
    def qk_norm(self) -> bool:
        return self.model_type == "qwen3"


def check_window(config: ModelConfig, prompt: int, budget: int) -> None:
    """ValueError, one line, if the longest prompt and the new tokens exceed the model's window (all in tokens). The
    model was not trained on positions beyond it."""
    if prompt + budget > config.max_position_embeddings:
        raise ValueError(
            f"a prompt of {prompt} tokens and {budget} new ones are {prompt + budget} positions, and the model's window"
            f" has {config.max_position_embeddings} (max_position_embeddings): fewer new tokens or shorter prompts"
        )


# packing and prefix ----------------------------------------------------------------------------------------


class Layout:
    """The places of the M real tokens in a right-padded batch (B, T), and their positions.

    `index` (M,) points into the flattened (B * T). `position` (M,) counts from the start of the sequence, with the
    row's prefix of `offset` (B,) tokens.
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
    """Keys and values of N prompts, right-padded to P. Groups share them."""

    keys: list[Tensor]  # L x (N, K, P, Dh)
    values: list[Tensor]  # L x (N, K, P, Dh)
    lengths: Tensor  # (N,)


def prefix_mask(prefix_lengths: Tensor, prefix_width: int, width: int) -> Tensor:
    """True where a query attends: the row's prompt, then the row itself up to the query. (B, 1, T, P + T)"""
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
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)  # computes in fp32 if x is bf16


def rope_frequencies(config: ModelConfig, device: torch.device) -> Tensor:
    """The rotation of each pair of a head's dimensions per position, in radians. (Dh/2,) fp32

    Su et al. 2021, section 3.2.2. Scaling "linear" (Chen et al. 2023, "Extending Context Window of Large Language
    Models via Positional Interpolation") divides all frequencies by the factor. "llama3" (Llama 3.1's reference code)
    keeps frequencies with at least high_freq_factor turns within the window of pretraining, divides those with at most
    low_freq_factor turns, and interpolates in between.
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

    The angles are always fp32: bf16 rounds positions from 256 on.
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
        # Padding is on the right: without a prefix the causal mask hides it from every real token.
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
    """The whole model. Its parameters have the names of Hugging Face checkpoints.

    `model(ids, lengths)` gives the final-normed hidden states, `model.logits(hidden)` applies the head. There is no
    dropout, so train and eval modes are the same.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        # Empty: the caller fills it. nn.Embedding(V, D) would draw normal numbers, and on the device "meta" that makes
        # PyTorch load its compiler, which takes a second.
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
        # Recompute blocks in the backward pass: a third more time, the activations of one block.
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

        ids (B, T) and lengths (B,), int64. With a prefix, row b continues prompt `prompt_of_row[b]`, (B,) int64.
        Returns (B, T, D).
        """
        return self._run(ids, lengths, prefix, prompt_of_row)[0]

    def prefill(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Prefix]:
        """forward for N prompts (N, P), and the `Prefix` that their groups share."""
        hidden, keys, values = self._run(ids, lengths, None, None)
        return hidden, Prefix(keys, values, lengths)

    def _run(self, ids, lengths, prefix, prompt_of_row):
        config, mask, offset = self.config, None, None
        if prefix is not None:
            offset = prefix.lengths[prompt_of_row]  # (B,)
            mask = prefix_mask(offset, prefix.keys[0].shape[2], ids.shape[1])
        layout = Layout(lengths, ids.shape[1], offset)
        x = self.model.embed_tokens(layout.pack(ids))  # (M, D)
        if mask is not None:  # as a bias: of a bool mask every layer would make and keep its own bias
            mask = x.new_zeros(mask.shape).masked_fill_(~mask, -torch.inf)  # (B, 1, T, P + T)
        rope = rope_tables(layout.position, rope_frequencies(config, x.device), x.dtype)
        keys, values = [], []
        recomputed = self.gradient_checkpointing and torch.is_grad_enabled()
        for i in range(len(self.model.layers)):
            arguments = (i, x, rope, layout, prefix, prompt_of_row, mask)
            if recomputed:
                # Not the reentrant kind: it gives no gradient to tensors inside other arguments (the prefix).
                x, k, v = checkpoint(self._run_block, *arguments, use_reentrant=False, preserve_rng_state=False)
            else:
                x, k, v = self._run_block(*arguments)
            if prefix is None:  # a continuation is not continued again
                keys.append(k)
                values.append(v)
        return layout.pad(self.model.norm(x)), keys, values

    def _run_block(self, i: int, x: Tensor, rope, layout: Layout, prefix: Prefix | None, prompt_of_row, mask):
        """Block i. The prefix is copied per row in here, so that the copy does not outlive the block."""
        past = prefix and (prefix.keys[i][prompt_of_row], prefix.values[i][prompt_of_row])
        return self.model.layers[i](x, rope, layout, past, mask)


def pad_right(rows: list[list[int]], device="cpu") -> tuple[Tensor, Tensor]:
    """Token ids of unequal length -> ids (B, T) and lengths (B,). The padding is 0 and never read."""
    lengths = [len(row) for row in rows]
    width = max(lengths)
    ids = torch.tensor([row + [0] * (width - len(row)) for row in map(list, rows)], dtype=torch.int64)
    return ids.view(len(rows), width).to(device), torch.tensor(lengths, device=device)


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
