"""Sampling with a KV cache, built around groups: G rollouts of a prompt share the prompt's keys and values.

A call runs `Decoder.prefill` once per prompt, then decodes all rows together, one token a step. What makes it
fast, and where:

* attention looks at two places, the shared prompt (all rows of a group in one matrix product) and the row's
  own tokens (`GroupDecoder._attend`), so a prompt is neither computed nor stored G times;
* finished rows leave the batch (`GroupDecoder.keep`);
* q, k, v are one matrix and gate, up another, with LoRA merged, once per call (`fuse`);
* one uniform number per token and an inverse CDF, in place of noise over the vocabulary (`draw`).

The uniforms of a rollout depend on (run seed, step, prompt id, sample index) and on nothing else, so a
rollout is the same whatever else is in the batch - up to floating-point ties: other batch shapes may round
logits in the last bit, which matters only where a uniform falls that close to the boundary of two tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rl.logprobs import processed_log_probs
from rl.lora import LoRALinear, merged_weight
from rl.model import Block, Decoder, ModelConfig, Prefix, pad_right, rope_tables, rotate

COMPACT_BELOW = 0.8  # rows leave the batch once this share of it or less is still alive: each time costs a copy


@dataclass
class Completion:
    """One rollout: its tokens (EOS included, if sampled), their log-probabilities (nats), why it ended."""

    ids: list[int]
    log_probs: list[float]
    finish: str  # eos | stop | length


@torch.inference_mode()
def sample(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    *,
    seed: int,
    step: int,
    prompt_ids: Sequence[str | int],
    group_size: int,
    max_new_tokens: int,
    eos_ids: Sequence[int],
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    stop_strings: Sequence[str] = (),
    decode: Callable[[list[int]], str] | None = None,
    max_rows: int = 512,
    on_finished: Callable[[list[tuple[int, Completion]]], object] | None = None,
) -> list[Completion]:
    """Sample `group_size` completions of each prompt; prompt 0's come first, in the order of sample index.

    Log-probabilities are those of the very distribution that each token was drawn from (see
    `processed_log_probs`). Temperature 0 is greedy: the argmax, with its log-probability at temperature 1.
    A rollout ends with an EOS token ("eos"), when its text contains a stop string ("stop"; the tokens are
    kept as sampled, so cutting the text is the caller's), or after `max_new_tokens` ("length"). `decode`
    makes text of token ids, and is needed for stop strings. At most `max_rows` rows are decoded at a time.
    `on_finished` is told of completions as they end, with their place in the list that is returned: others can be
    executed while the rest is still being written. ValueError for bad arguments.
    """
    _check(prompts, prompt_ids, group_size, max_new_tokens, temperature, top_k, top_p, stop_strings, decode)
    settings = _Settings(max_new_tokens, temperature, top_k, top_p, tuple(eos_ids), tuple(stop_strings), decode)
    blocks = [FusedBlock(block, model.config) for block in model.model.layers]
    # Prompts of similar length together: less padding.
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    rows = [(i, g) for i in order for g in range(group_size)]
    results = {}
    for start in range(0, len(rows), max_rows):
        chunk = rows[start : start + max_rows]
        uniforms = np.stack([rollout_uniforms(seed, step, prompt_ids[i], g, max_new_tokens) for i, g in chunk])
        used = sorted({i for i, _ in chunk})
        prompt_of_row = torch.tensor([used.index(i) for i, _ in chunk])
        prompts_used = [prompts[i] for i in used]
        for finished in _sample_rows(model, blocks, prompts_used, prompt_of_row, uniforms, settings):
            placed = [(chunk[row][0] * group_size + chunk[row][1], completion) for row, completion in finished]
            results.update(placed)
            if on_finished is not None:
                on_finished(placed)
    return [results[place] for place in range(len(rows))]


@dataclass
class _Settings:
    max_new_tokens: int
    temperature: float
    top_k: int
    top_p: float
    eos_ids: tuple[int, ...]
    stop_strings: tuple[str, ...]
    decode: Callable | None


def _check(prompts, prompt_ids, group_size, max_new_tokens, temperature, top_k, top_p, stop_strings, decode):
    if not all(len(prompt) > 0 for prompt in prompts):
        raise ValueError("a prompt is empty: there is nothing to continue")
    if len(prompt_ids) != len(prompts) or len({str(i) for i in prompt_ids}) != len(prompts):
        raise ValueError("prompt_ids: one for each prompt, all different: equal ids would draw equal rollouts")
    if group_size < 1 or max_new_tokens < 1:
        raise ValueError(f"group_size = {group_size}, max_new_tokens = {max_new_tokens}: at least 1 is needed")
    if temperature < 0 or top_k < 0 or not 0 < top_p <= 1:
        raise ValueError(f"temperature = {temperature}, top_k = {top_k}, top_p = {top_p}: out of range")
    if stop_strings and (decode is None or not all(stop_strings)):
        raise ValueError("stop_strings must not be empty strings, and need `decode`")


def rollout_uniforms(seed: int, step: int, prompt_id, sample_index: int, count: int) -> np.ndarray:
    """One rollout's uniforms in [0, 1), from the counter-based generator Philox. (count,) float64"""
    key = blake2b(f"{seed}/{step}/{prompt_id}/{sample_index}".encode(), digest_size=16).digest()
    raw = np.random.Philox(key=int.from_bytes(key, "little")).random_raw(count)
    return (raw >> np.uint64(11)) * 2.0**-53


def draw(log_probs: Tensor, uniform: Tensor) -> Tensor:
    """Inverse CDF: the first token whose cumulative probability exceeds the uniform.

    log_probs (B, V), uniform (B,) float64 in [0, 1) -> (B,) int64. In float64, so that rare tokens of a large
    vocabulary keep their probability.
    """
    cdf = log_probs.to(torch.float64, copy=True).exp_().cumsum_(-1)
    total = cdf[:, -1:].contiguous()
    token = torch.searchsorted(cdf, uniform[:, None] * total, right=True)
    # uniform * total may round up to the total, and no token exceeds that. The first to reach it is the last
    # token with a probability: those behind it add nothing.
    last = torch.searchsorted(cdf, total)
    return torch.minimum(token, last).squeeze(1)


def _sample_rows(model, blocks, prompts, prompt_of_row, uniforms, settings: _Settings):
    """Decode the rows of one chunk together; prompt_of_row (B,), uniforms (B, T).

    Yields (row, completion) of those that have ended, a list each time that the batch shrinks and one at the end.
    """
    device, count, steps = model.device, len(prompt_of_row), settings.max_new_tokens
    prompt_of_row = prompt_of_row.to(device)
    ids, lengths = pad_right(prompts, device)
    hidden, prefix = model.prefill(ids, lengths)
    last = hidden[torch.arange(len(prompts), device=device), lengths - 1]  # (N, D)
    logits = model.logits(last)[prompt_of_row]  # (B, V)
    decoder = GroupDecoder(model, blocks, prefix, prompt_of_row, steps)
    uniforms = torch.from_numpy(uniforms).to(device)
    eos = torch.tensor(settings.eos_ids, dtype=torch.int64, device=device)

    tokens = torch.zeros(count, steps, dtype=torch.int64, device=device)
    log_probs = torch.zeros(count, steps, dtype=torch.float32, device=device)
    finish = dict.fromkeys(range(count), (steps, "length"))  # of the rows that have not been yielded
    rows = torch.arange(count, device=device)  # which rollout each row of the shrinking batch is
    alive = torch.ones(count, dtype=torch.bool, device=device)
    for t in range(steps):
        token, log_prob = _choose(logits, uniforms[rows, t], settings)
        tokens[rows, t], log_probs[rows, t] = token, log_prob.float()
        ended = alive & torch.isin(token, eos)
        for row in rows[ended].tolist():
            finish[row] = (t + 1, "eos")
        alive &= ~ended
        if settings.stop_strings:
            for i in alive.nonzero().squeeze(1).tolist():
                if _has_stop(tokens[rows[i], : t + 1].tolist(), settings):
                    finish[int(rows[i])] = (t + 1, "stop")
                    alive[i] = False
        remaining = int(alive.sum())
        if remaining == 0 or t + 1 == steps:
            break
        if remaining <= COMPACT_BELOW * len(rows):
            kept = alive.nonzero().squeeze(1)
            gone = [(row, finish.pop(row)) for row in rows[~alive].tolist()]
            rows, token, alive = rows[kept], token[kept], alive[kept]
            decoder.keep(kept)
            yield _completions(tokens, log_probs, gone)
        logits = decoder.step(token)
    yield _completions(tokens, log_probs, list(finish.items()))


def _completions(tokens: Tensor, log_probs: Tensor, ended: list[tuple[int, tuple[int, str]]]):
    """(row, completion) of the rows that have ended, each given with its length and the reason."""
    chosen = [row for row, _ in ended]
    ids, scores = tokens[chosen].tolist(), log_probs[chosen].tolist()
    return [(row, Completion(ids[i][:n], scores[i][:n], why)) for i, (row, (n, why)) in enumerate(ended)]


def _choose(logits: Tensor, uniform: Tensor, settings: _Settings) -> tuple[Tensor, Tensor]:
    """The next token of each row and its log-probability; logits (B, V), uniform (B,) -> two (B,)."""
    if settings.temperature == 0:
        log_probs = processed_log_probs(logits, 1.0)
        token = log_probs.argmax(-1)
    else:
        log_probs = processed_log_probs(logits, settings.temperature, settings.top_k, settings.top_p)
        token = draw(log_probs, uniform)
    return token, log_probs.gather(1, token[:, None]).squeeze(1)


def _has_stop(ids: list[int], settings: _Settings) -> bool:
    """Whether the last token completed a stop string. Only the tail is decoded: every token is at least one
    byte, and two more tokens keep the tail's ragged beginning out of the way."""
    window = max(len(stop.encode()) for stop in settings.stop_strings) + 2
    text = settings.decode(ids[-window:])
    return any(stop in text for stop in settings.stop_strings)


# decoding, one token a step --------------------------------------------------------------------------------


def fuse(linears: list[nn.Module]) -> Callable[[Tensor], Tensor]:
    """Several projections of one input as one matrix, LoRA merged in: x (B, in) -> (B, sum of outs).

    Below fp32 adapters are not merged: rounding W + BA to bf16 would drop most of a small update, and what is
    sampled would no longer be what is trained.
    """
    narrow = merged_weight(linears[0]).dtype.itemsize < 4
    if narrow and any(isinstance(linear, LoRALinear) for linear in linears):
        return lambda x: torch.cat([linear(x) for linear in linears], -1)
    plain = [linear.base if isinstance(linear, LoRALinear) else linear for linear in linears]
    weight = torch.cat([merged_weight(linear) for linear in linears])
    bias = None if plain[0].bias is None else torch.cat([linear.bias for linear in plain])
    return lambda x: F.linear(x, weight, bias)


class FusedBlock:
    """A Block's weights as decoding wants them."""

    def __init__(self, block: Block, config: ModelConfig):
        attention, mlp = block.self_attn, block.mlp
        self.qkv = fuse([attention.q_proj, attention.k_proj, attention.v_proj])
        self.o = fuse([attention.o_proj])
        self.gate_up = fuse([mlp.gate_proj, mlp.up_proj])
        self.down = fuse([mlp.down_proj])
        self.norm1, self.norm2 = block.input_layernorm, block.post_attention_layernorm
        self.qk_scale, self.eps = None, config.rms_norm_eps
        if config.qk_norm:
            q_scale = attention.q_norm.weight.expand(config.num_attention_heads, -1)
            k_scale = attention.k_norm.weight.expand(config.num_key_value_heads, -1)
            self.qk_scale = torch.cat([q_scale, k_scale])  # (H + K, Dh)

    def norm_heads(self, qk: Tensor) -> Tensor:
        """Qwen3's norm of each head of q and k at once. (B, H + K, Dh)"""
        if self.qk_scale is None:
            return qk
        return F.rms_norm(qk, qk.shape[-1:], None, self.eps) * self.qk_scale


class GroupDecoder:
    """The state of one batch of rows that are being decoded, and one step of it."""

    def __init__(self, model: Decoder, blocks: list[FusedBlock], prefix: Prefix, prompt_of_row: Tensor, steps: int):
        config = model.config
        self.model, self.blocks, self.config, self.prefix = model, blocks, config, prefix
        self.prompt_of_row, self.t = prompt_of_row, 0
        # Keys lie transposed, as the product with queries wants them. All (N, K) pairs, and in `_attend` all
        # (B, K) pairs, are flattened into the batch of a matrix product.
        self.prompt_keys = [keys.flatten(0, 1).mT.contiguous() for keys in prefix.keys]  # L x (N K, Dh, P)
        self.prompt_values = [values.flatten(0, 1) for values in prefix.values]  # L x (N K, P, Dh)
        rows, kv_heads, width = len(prompt_of_row), config.num_key_value_heads, config.head_dim
        like = {"dtype": model.dtype, "device": model.device}
        self.keys = [torch.empty(rows, kv_heads, width, steps, **like) for _ in blocks]  # L x (B, K, Dh, T)
        self.values = [torch.empty(rows, kv_heads, steps, width, **like) for _ in blocks]  # L x (B, K, T, Dh)
        positions = torch.arange(prefix.keys[0].shape[2], device=model.device)
        hidden = positions >= prefix.lengths[:, None]  # (N, P)
        self.bias = torch.zeros(hidden.shape, **like).masked_fill(hidden, -torch.inf)
        self.bias = self.bias.repeat_interleave(config.num_key_value_heads, 0)[:, None]  # (N * K, 1, P)
        self._index_slots()

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows of the batch only. (B',) int64"""
        self.prompt_of_row = self.prompt_of_row[rows]
        for keys, values in zip(self.keys, self.values, strict=True):  # only what is filled, within the memory
            keys[: len(rows), ..., : self.t] = keys[..., : self.t][rows]
            values[: len(rows), :, : self.t] = values[:, :, : self.t][rows]
        self.keys = [keys[: len(rows)] for keys in self.keys]
        self.values = [values[: len(rows)] for values in self.values]
        self._index_slots()

    def _index_slots(self) -> None:
        """Where each query goes so that the queries of one prompt and one key-value head form one matrix.

        The matrix of (prompt n, head k) has as many lines as the largest group has rows, times H / K.
        `to_slot` takes queries there from the order (row, K, H / K), `to_row` takes the result back.
        """
        config, device = self.config, self.prompt_of_row.device
        prompts = len(self.prefix.lengths)
        kv_heads, share = config.num_key_value_heads, config.num_attention_heads // config.num_key_value_heads
        member = F.one_hot(self.prompt_of_row, prompts)  # (B, N)
        place = (member.cumsum(0) * member).sum(1) - 1  # of each row within its group (B,)
        largest = int(member.sum(0).max())
        head, part = torch.arange(kv_heads, device=device), torch.arange(share, device=device)
        line = (self.prompt_of_row[:, None] * kv_heads + head) * largest + place[:, None]  # (B, K)
        self.to_row = (line[..., None] * share + part).flatten()  # (B * K * share,)
        self.to_slot = self.to_row.new_zeros(prompts * kv_heads * largest * share)
        self.to_slot[self.to_row] = torch.arange(len(self.to_row), device=device)  # empty slots repeat query 0

    def step(self, token: Tensor) -> Tensor:
        """Put one token (B,) behind each row; logits (B, V) of the next."""
        config = self.config
        position = self.prefix.lengths[self.prompt_of_row] + self.t
        x = self.model.model.embed_tokens(token)  # (B, D)
        rope = rope_tables(position, config.head_dim, config.rope_theta, x.dtype)
        for i, block in enumerate(self.blocks):
            x = x + block.o(self._attend(i, block, block.norm1(x), rope))
            gate, up = block.gate_up(block.norm2(x)).chunk(2, -1)
            x = x + block.down(F.silu(gate) * up)
        self.t += 1
        return self.model.logits(self.model.model.norm(x))

    def _attend(self, i: int, block: FusedBlock, x: Tensor, rope) -> Tensor:
        """Attention of each row's new token to its prompt and to the row's own tokens. (B, D) -> (B, H Dh)"""
        config, keys, values, now = self.config, self.keys[i], self.values[i], self.t + 1
        heads, kv_heads, width = config.num_attention_heads, config.num_key_value_heads, config.head_dim
        qk, v = block.qkv(x).unflatten(1, (-1, width)).split([heads + kv_heads, kv_heads], 1)
        q, k = rotate(block.norm_heads(qk), *rope).split([heads, kv_heads], 1)  # (B, H, Dh), (B, K, Dh)
        keys[:, :, :, self.t], values[:, :, self.t] = k, v
        own_keys, own_values = keys[..., :now].flatten(0, 1), values[:, :, :now].flatten(0, 1)
        prompt_keys, prompt_values = self.prompt_keys[i], self.prompt_values[i]

        q = (q * width**-0.5).view(-1, width)  # (B H, Dh), that is in the order (row, K, H / K)
        slots = q.index_select(0, self.to_slot).view(len(prompt_keys), -1, width)  # (N K, G H/K, Dh)
        on_prompt = torch.baddbmm(self.bias, slots, prompt_keys).flatten(0, 1)  # (N K G H/K, P)
        on_own = torch.bmm(q.view(len(own_keys), -1, width), own_keys).flatten(0, 1)  # (B H, t)
        scores = torch.cat([on_prompt.index_select(0, self.to_row), on_own], 1)  # (B H, P + t)
        on_prompt, on_own = scores.softmax(1).split([on_prompt.shape[1], now], 1)

        slots = on_prompt.index_select(0, self.to_slot).view(len(prompt_keys), -1, on_prompt.shape[1])
        out = torch.bmm(slots, prompt_values).flatten(0, 1).index_select(0, self.to_row)  # (B H, Dh)
        on_own = on_own.unflatten(0, (len(own_keys), -1))  # (B K, H/K, t)
        out = torch.baddbmm(out.view(len(own_keys), -1, width), on_own, own_values)
        return out.view(len(x), heads * width)
