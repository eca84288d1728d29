"""Sampling in groups: G completions of each prompt.

A call runs `Decoder.prefill` once per prompt, then decodes all rows together, one token per step (rl/decoding.py,
rl/static_decoder.py). This file draws tokens, ends rollouts, and removes finished rows from the batch.

A token is drawn with one uniform number and the inverse CDF (`draw`). The uniforms of a rollout depend only on (run
seed, step, prompt id, sample index), so a rollout does not depend on the rest of the batch, up to floating-point ties:
another batch shape may round logits differently in the last bit.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

from rl.decoding import FusedBlock, GroupDecoder
from rl.logprobs import processed_log_probs
from rl.model import Decoder, check_window, pad_right
from rl.static_decoder import StaticDecoder

MAX_ROWS = 512  # rows that are decoded at a time
DECODERS = {"dynamic": GroupDecoder, "static": StaticDecoder}
# Probabilities that are computed at a time. For 512 rows over Qwen's 151,936 tokens the float64 of `draw` would take
# 622 MB, in slices 134 MB. Rows are independent, so slices change no bit.
CHOOSE_ELEMENTS = 2**24


@dataclass
class Completion:
    """One rollout: its tokens (EOS included, if sampled), their log-probabilities (nats), why it ended."""

    ids: list[int]
    log_probs: list[float]
    finish_reason: str  # eos | stop | length; "" until it ends


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
    stop: Callable[[list[int]], bool] | None = None,
    max_rows: int = MAX_ROWS,
    on_finished: Callable[[list[tuple[int, Completion]]], object] | None = None,
    decoder: str = "dynamic",
) -> list[Completion]:
    """Samples `group_size` completions of each prompt; those of prompt 0 come first, by sample index.

    Log-probabilities are those of the distribution that each token was drawn from (`processed_log_probs`). Temperature
    0 is greedy: the argmax, with its log-probability at temperature 1. A rollout ends with an EOS token ("eos"), when
    `stop` returns True ("stop"), or after `max_new_tokens` ("length").

    stop         gets the ids of a completion after each token but EOS; it must not keep or change the list
    max_rows     at most so many rows are decoded at a time
    on_finished  gets completions as they end, each with its index in the returned list
    decoder      "dynamic": shapes grow and shrink; "static": fixed shapes for CUDA graphs

    ValueError for bad arguments, and for a prompt and budget beyond the model's window.
    """
    _check(prompts, prompt_ids, group_size, max_new_tokens, temperature, top_k, top_p, decoder)
    check_window(model.config, max(map(len, prompts), default=0), max_new_tokens)
    settings = _Settings(max_new_tokens, temperature, top_k, top_p, frozenset(eos_ids), stop, DECODERS[decoder])
    blocks = [FusedBlock(block, model.config) for block in model.model.layers]
    # Prompts of similar length stand together: less padding.
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
    eos_ids: frozenset[int]
    stop: Callable[[list[int]], bool] | None
    decoder: type[GroupDecoder] | type[StaticDecoder]


def _check(prompts, prompt_ids, group_size, max_new_tokens, temperature, top_k, top_p, decoder):
    if not all(len(prompt) > 0 for prompt in prompts):
        raise ValueError("a prompt is empty: there is nothing to continue")
    if len(prompt_ids) != len(prompts) or len({str(i) for i in prompt_ids}) != len(prompts):
        raise ValueError("prompt_ids: one for each prompt, all different: equal ids would draw equal rollouts")
    if group_size < 1 or max_new_tokens < 1:
        raise ValueError(f"group_size = {group_size}, max_new_tokens = {max_new_tokens}: at least 1 is needed")
    if temperature < 0 or top_k < 0 or not 0 < top_p <= 1:
        raise ValueError(f"temperature = {temperature}, top_k = {top_k}, top_p = {top_p}: out of range")
    if decoder not in DECODERS:
        raise ValueError(f"decoder = {decoder!r}: there are {', '.join(DECODERS)}")


def rollout_uniforms(seed: int, step: int, prompt_id, sample_index: int, count: int) -> np.ndarray:
    """One rollout's uniforms in [0, 1), from the counter-based generator Philox. (count,) float64"""
    key = blake2b(f"{seed}/{step}/{prompt_id}/{sample_index}".encode(), digest_size=16).digest()
    raw = np.random.Philox(key=int.from_bytes(key, "little")).random_raw(count)
    return (raw >> np.uint64(11)) * 2.0**-53


def draw(log_probs: Tensor, uniform: Tensor) -> Tensor:
    """Inverse CDF: the first token whose cumulative probability exceeds the uniform.

    log_probs (B, V), uniform (B,) float64 in [0, 1) -> (B,) int64. float64 keeps the probability of rare tokens.
    """
    cdf = log_probs.to(torch.float64, copy=True).exp_().cumsum_(-1)
    total = cdf[:, -1:].contiguous()
    token = torch.searchsorted(cdf, uniform[:, None] * total, right=True)
    # uniform * total may round up to the total, which no token exceeds. The first token that reaches the total is the
    # last one with a probability.
    last = torch.searchsorted(cdf, total)
    return torch.minimum(token, last).squeeze(1)


def _sample_rows(
    model: Decoder, blocks: list[FusedBlock], prompts, prompt_of_row: Tensor, uniforms: np.ndarray, settings: _Settings
) -> Iterator[list[tuple[int, Completion]]]:
    """Decodes the rows of one chunk together; prompt_of_row (B,), uniforms (B, T).

    Yields a list of (row, completion) that have ended each time the batch shrinks, and one at the end.
    """
    steps = settings.max_new_tokens
    decoder, logits = _read_prompts(model, blocks, prompts, prompt_of_row.to(model.device), settings)
    uniforms = torch.from_numpy(uniforms).to(model.device)
    completions = [Completion([], [], "") for _ in prompt_of_row]
    rows = list(range(len(completions)))  # the completion of each row of the shrinking batch
    fresh: list[tuple[Tensor, Tensor]] = []  # tokens and log-probabilities not yet read, each (B,)
    for t in range(steps):
        token, log_prob = _choose(logits, uniforms[:, t], settings)
        fresh.append((token, log_prob))
        if len(fresh) == decoder.LOOK_EVERY or t + 1 == steps:
            _write_down(fresh, [completions[row] for row in rows], settings)
            fresh = []
            alive = [i for i, row in enumerate(rows) if not completions[row].finish_reason]
            if not alive:
                break
            if len(alive) <= decoder.COMPACT_BELOW * len(rows):
                yield [(row, completions[row]) for row in rows if completions[row].finish_reason]
                rows = [rows[i] for i in alive]
                kept = torch.tensor(alive, device=model.device)
                uniforms, token = uniforms[kept], token[kept]
                decoder.keep(kept)
        logits = decoder.step(token)
    yield [(row, completions[row]) for row in rows]


def _read_prompts(model: Decoder, blocks, prompts, prompt_of_row: Tensor, settings: _Settings):
    """A decoder that has read the prompts, and the logits (B, V) of each row's first token."""
    ids, lengths = pad_right(prompts, model.device)
    hidden, prefix = model.prefill(ids, lengths)
    last = hidden[torch.arange(len(prompts), device=model.device), lengths - 1]  # (N, D)
    decoder = settings.decoder(model, blocks, prefix, prompt_of_row, settings.max_new_tokens)
    return decoder, model.logits(last)[prompt_of_row]


def _write_down(fresh: list[tuple[Tensor, Tensor]], completions: list[Completion], settings: _Settings) -> None:
    """Appends the tokens of the last few steps to their completions, each up to its end."""
    ids = torch.stack([token for token, _ in fresh], 1).tolist()  # B lists
    log_probs = torch.stack([log_prob for _, log_prob in fresh], 1).tolist()
    for completion, new_ids, new_log_probs in zip(completions, ids, log_probs, strict=True):
        for token, log_prob in zip(new_ids, new_log_probs, strict=True):
            if completion.finish_reason:
                break
            completion.ids.append(token)
            completion.log_probs.append(log_prob)
            if token in settings.eos_ids:
                completion.finish_reason = "eos"
            elif settings.stop is not None and settings.stop(completion.ids):
                completion.finish_reason = "stop"
            elif len(completion.ids) == settings.max_new_tokens:
                completion.finish_reason = "length"


def _choose(logits: Tensor, uniform: Tensor, settings: _Settings) -> tuple[Tensor, Tensor]:
    """The next token of each row and its log-probability; logits (B, V), uniform (B,) -> two (B,)."""
    rows = max(1, CHOOSE_ELEMENTS // logits.shape[1])
    if len(logits) <= rows:
        return _choose_slice(logits, uniform, settings)
    slices = zip(logits.split(rows), uniform.split(rows), strict=True)
    token, log_prob = zip(*(_choose_slice(*part, settings) for part in slices), strict=True)
    return torch.cat(token), torch.cat(log_prob)


def _choose_slice(logits: Tensor, uniform: Tensor, settings: _Settings) -> tuple[Tensor, Tensor]:
    if settings.temperature == 0:
        log_probs = processed_log_probs(logits, 1.0)
        token = log_probs.argmax(-1)
    else:
        log_probs = processed_log_probs(logits, settings.temperature, settings.top_k, settings.top_p)
        token = draw(log_probs, uniform)
    return token, log_probs.gather(1, token[:, None]).squeeze(1)
