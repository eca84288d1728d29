"""Decoding, one token per step: G rollouts of a prompt share the prompt's keys and values.

Three things make it fast:

* attention reads the shared prompt (all rows of a group in one matrix product) and the row's own tokens separately
  (`SharedPrompts.attend`), so a prompt is neither computed nor stored G times;
* finished rows leave the batch (`GroupDecoder.keep`);
* in a small model q, k, v are one matrix and gate, up another, with LoRA merged, once per call (`fuse`).

rl/static_decoder.py does the same in steps of fixed shapes, for CUDA graphs.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rl.lora import LoRALinear, merged_weight
from rl.model import Block, Decoder, ModelConfig, Prefix, rope_frequencies, rope_tables, rotate

# Matrices of up to so many elements are fused. On a CPU in fp32 their products are then 1.3 times as fast at 100,000
# elements, 1.2 times at 400,000, and no faster from a million on, where the copy would take 0.9 GB for a model of 0.6e9
# parameters in bf16.
FUSED_ELEMENTS = 2**20


def fuse(linears: list[nn.Module]) -> Callable[[Tensor], Tensor]:
    """Several projections of one input: x (B, in) -> (B, sum of outs). Small ones become one matrix, with LoRA merged.

    Below fp32 adapters are not merged: rounding W + BA to bf16 drops most of a small update, so the sampled policy
    would differ from the trained one.
    """
    plain = [linear.base if isinstance(linear, LoRALinear) else linear for linear in linears]
    large = sum(linear.weight.numel() for linear in plain) > FUSED_ELEMENTS
    narrow = plain[0].weight.dtype.itemsize < 4
    adapted = any(isinstance(linear, LoRALinear) for linear in linears)
    if large or (narrow and adapted):
        return linears[0] if len(linears) == 1 else lambda x: torch.cat([linear(x) for linear in linears], -1)
    weight = torch.cat([merged_weight(linear) for linear in linears])
    bias = None if plain[0].bias is None else torch.cat([linear.bias for linear in plain])
    return lambda x: F.linear(x, weight, bias)


class FusedBlock:
    """A Block for decoding: one token per row."""

    def __init__(self, block: Block, config: ModelConfig):
        attention, mlp = block.self_attn, block.mlp
        self.qkv = fuse([attention.q_proj, attention.k_proj, attention.v_proj])
        self.o = fuse([attention.o_proj])
        self.gate_up = fuse([mlp.gate_proj, mlp.up_proj])
        self.down = fuse([mlp.down_proj])
        self.norm1, self.norm2 = block.input_layernorm, block.post_attention_layernorm
        self.heads, self.kv_heads, self.width = config.num_attention_heads, config.num_key_value_heads, config.head_dim
        self.qk_scale, self.eps = None, config.rms_norm_eps
        if config.qk_norm:
            q_scale = attention.q_norm.weight.expand(self.heads, -1)
            k_scale = attention.k_norm.weight.expand(self.kv_heads, -1)
            self.qk_scale = torch.cat([q_scale, k_scale])  # (H + K, Dh)

    def step(self, x: Tensor, rope, attend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        """One new token of each row, (B, D) -> (B, D). `attend` takes q (B, H, Dh), k and v (B, K, Dh), stores k and v,
        and returns the attention of q to all tokens of its row, (B, H Dh)."""
        qk, v = (
            self.qkv(self.norm1(x)).unflatten(1, (-1, self.width)).split([self.heads + self.kv_heads, self.kv_heads], 1)
        )
        q, k = rotate(self.norm_heads(qk), *rope).split([self.heads, self.kv_heads], 1)
        x = x + self.o(attend(q, k, v))
        gate, up = self.gate_up(self.norm2(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)

    def norm_heads(self, qk: Tensor) -> Tensor:
        """Qwen3's norm of each head of q and k. (B, H + K, Dh)"""
        if self.qk_scale is None:
            return qk
        return F.rms_norm(qk, qk.shape[-1:], None, self.eps) * self.qk_scale


class SharedPrompts:
    """Keys and values of N prompts, and the attention of rows to their prompt and to their own tokens."""

    def __init__(self, config: ModelConfig, prefix: Prefix):
        self.config, self.lengths = config, prefix.lengths
        # Keys are stored transposed, for the product with queries. All (N, K) pairs, and in `attend` all (B, K) pairs,
        # are flattened into the batch of a matrix product.
        self.keys = [keys.flatten(0, 1).mT.contiguous() for keys in prefix.keys]  # L x (N K, Dh, P)
        self.values = [values.flatten(0, 1) for values in prefix.values]  # L x (N K, P, Dh)
        positions = torch.arange(prefix.keys[0].shape[2], device=self.lengths.device)
        hidden = positions >= prefix.lengths[:, None]  # (N, P)
        self.bias = torch.zeros(hidden.shape, dtype=self.keys[0].dtype, device=hidden.device)
        self.bias = self.bias.masked_fill(hidden, -torch.inf)
        self.bias = self.bias.repeat_interleave(config.num_key_value_heads, 0)[:, None]  # (N K, 1, P)

    def place(self, prompt_of_row: Tensor) -> None:
        """Computes where each query goes, so that the queries of one prompt and one key-value head form one matrix.

        prompt_of_row (B,) int64. The matrix of (prompt n, head k) has H / K lines for each row of the largest group.
        `to_slot` moves queries there from the order (row, K, H / K), `to_row` moves the result back.
        """
        config, device = self.config, prompt_of_row.device
        prompts = len(self.lengths)
        kv_heads, share = config.num_key_value_heads, config.num_attention_heads // config.num_key_value_heads
        member = F.one_hot(prompt_of_row, prompts)  # (B, N)
        place = (member.cumsum(0) * member).sum(1) - 1  # of each row within its group (B,)
        largest = int(member.sum(0).max())
        head, part = torch.arange(kv_heads, device=device), torch.arange(share, device=device)
        line = (prompt_of_row[:, None] * kv_heads + head) * largest + place[:, None]  # (B, K)
        self.to_row = (line[..., None] * share + part).flatten()  # (B * K * share,)
        self.to_slot = self.to_row.new_zeros(prompts * kv_heads * largest * share)
        self.to_slot[self.to_row] = torch.arange(len(self.to_row), device=device)  # empty slots repeat query 0

    def attend(self, i: int, q: Tensor, own_keys: Tensor, own_values: Tensor, unseen: Tensor | None = None) -> Tensor:
        """Attention of layer i's queries (B, H, Dh) to their prompts and to their rows' own tokens. (B, H Dh)

        own_keys (B K, Dh, t) and own_values (B K, t, Dh). `unseen` (t,) is True at places without a token; values there
        must be finite, as they are multiplied by zero.
        """
        rows, width = len(q), q.shape[-1]
        keys, values = self.keys[i], self.values[i]
        q = (q * width**-0.5).view(-1, width)  # (B H, Dh), in the order (row, K, H / K)
        slots = q.index_select(0, self.to_slot).view(len(keys), -1, width)  # (N K, G H/K, Dh)
        on_prompt = torch.baddbmm(self.bias, slots, keys).flatten(0, 1)  # (N K G H/K, P)
        on_own = torch.bmm(q.view(len(own_keys), -1, width), own_keys).flatten(0, 1)  # (B H, t)
        if unseen is not None:
            on_own = on_own.masked_fill(unseen, -torch.inf)
        scores = torch.cat([on_prompt.index_select(0, self.to_row), on_own], 1)  # (B H, P + t)
        on_prompt, on_own = scores.softmax(1).split([on_prompt.shape[1], on_own.shape[1]], 1)

        slots = on_prompt.index_select(0, self.to_slot).view(len(keys), -1, on_prompt.shape[1])
        out = torch.bmm(slots, values).flatten(0, 1).index_select(0, self.to_row)  # (B H, Dh)
        on_own = on_own.unflatten(0, (len(own_keys), -1))  # (B K, H/K, t)
        out = torch.baddbmm(out.view(len(own_keys), -1, width), on_own, own_values)
        return out.view(rows, -1)


class GroupDecoder:
    """The state of one batch of rows, and one decoding step."""

    LOOK_EVERY = 1  # tokens between two checks for rows that have ended
    COMPACT_BELOW = 0.8  # ended rows leave once at most this share is alive: each time costs a copy

    def __init__(self, model: Decoder, blocks: list[FusedBlock], prefix: Prefix, prompt_of_row: Tensor, steps: int):
        config = model.config
        self.model, self.blocks, self.prompts = model, blocks, SharedPrompts(config, prefix)
        self.prompt_of_row, self.t = prompt_of_row, 0
        self.frequencies = rope_frequencies(config, model.device)
        rows, kv_heads, width = len(prompt_of_row), config.num_key_value_heads, config.head_dim
        like = {"dtype": model.dtype, "device": model.device}
        self.keys = [torch.empty(rows, kv_heads, width, steps, **like) for _ in blocks]  # L x (B, K, Dh, T)
        self.values = [torch.empty(rows, kv_heads, steps, width, **like) for _ in blocks]  # L x (B, K, T, Dh)
        self.prompts.place(prompt_of_row)

    def keep(self, rows: Tensor) -> None:
        """Continues with these rows only. (B',) int64"""
        self.prompt_of_row = self.prompt_of_row[rows]
        for keys, values in zip(self.keys, self.values, strict=True):  # only the filled part, in place
            keys[: len(rows), ..., : self.t] = keys[..., : self.t][rows]
            values[: len(rows), :, : self.t] = values[:, :, : self.t][rows]
        self.keys = [keys[: len(rows)] for keys in self.keys]
        self.values = [values[: len(rows)] for values in self.values]
        self.prompts.place(self.prompt_of_row)

    def step(self, token: Tensor) -> Tensor:
        """Appends one token (B,) to each row; logits (B, V) of the next."""
        position = self.prompts.lengths[self.prompt_of_row] + self.t
        x = self.model.model.embed_tokens(token)  # (B, D)
        rope = rope_tables(position, self.frequencies, x.dtype)
        for i, block in enumerate(self.blocks):
            x = block.step(x, rope, partial(self._attend, i))
        self.t += 1
        return self.model.logits(self.model.model.norm(x))

    def _attend(self, i: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values, now = self.keys[i], self.values[i], self.t + 1
        keys[:, :, :, self.t], values[:, :, self.t] = k, v
        own_keys, own_values = keys[..., :now].flatten(0, 1), values[:, :, :now].flatten(0, 1)
        return self.prompts.attend(i, q, own_keys, own_values)
