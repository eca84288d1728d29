"""Log-probabilities: of a sampled distribution, and of whole completions in the learner.

The learner runs each prompt once and shares its keys and values with the group. It keeps hidden states at completion
positions only, and runs the output head in chunks that the backward pass recomputes, so memory does not grow with
batch x length x vocabulary.
"""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from rl.model import Decoder, Layout, pad_right

CHUNK_ELEMENTS = 2**25  # logits alive at a time: 128 MiB in fp32


def processed_log_probs(logits: Tensor, temperature: float, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """Natural log of the distribution that is sampled: tempered, cut to top-k, then to top-p, renormalised.

    logits (..., V) -> (..., V), at least fp32, -inf at the tokens that are cut. top_k = 0 and top_p = 1 keep all
    tokens. Tokens tied with the k-th stay; top-p keeps the smallest set that reaches top_p.
    """
    scores = logits.to(torch.promote_types(logits.dtype, torch.float32))
    del logits  # Free the logits early: at most two (..., V) tensors coexist.
    if temperature != 1.0:
        scores = scores / temperature
    if 0 < top_k < scores.shape[-1]:
        kth = scores.topk(top_k, dim=-1).values[..., -1:]
        scores = scores.masked_fill(scores < kth, -torch.inf)
    if top_p < 1.0:
        ordered, token = scores.sort(dim=-1, descending=True)
        probs = ordered.softmax(-1)
        before = probs.cumsum(-1) - probs  # probability of all tokens ahead; 0 for the first, which always stays
        cut = torch.zeros_like(before, dtype=torch.bool).scatter(-1, token, before >= top_p)
        scores = scores.masked_fill(cut, -torch.inf)
    return scores.log_softmax(-1)


def completion_logprobs(
    model: Decoder,
    prompts: list[list[int]],
    prompt_of_row: list[int],
    completions: list[list[int]],
    temperature: float = 1.0,
    chunk_tokens: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Log-probability of each token of B completions, and the entropy of its distribution: two (B, T), in nats.

    Row b continues `prompts[prompt_of_row[b]]`; unused prompts are not computed. Both are 0 at the padding. The first
    carries gradients, into the prompts too. The temperature must be the sampler's. There is no top-k or top-p: after an
    update a sampled token may leave the kept set, with log-probability -inf, so training samples are drawn without.
    ValueError for an empty completion.
    """
    hidden, ids, layout = completion_hidden(model, prompts, prompt_of_row, completions)
    log_probs, entropy = token_log_probs(
        layout.pack(hidden), layout.pack(ids), model.head_weight, temperature, chunk_tokens
    )
    return layout.pad(log_probs), layout.pad(entropy)


def completion_hidden(
    model: Decoder, prompts: list[list[int]], prompt_of_row: list[int], completions: list[list[int]]
) -> tuple[Tensor, Tensor, Layout]:
    """The hidden states that predict each completion token, (B, T, D); the ids (B, T); their layout.

    Position t depends on the prompt and the tokens before t: the state s_t that a critic values.
    """
    if not all(len(completion) > 0 for completion in completions):
        raise ValueError("a completion is empty: it has no token to take a log-probability of")
    used = sorted(set(prompt_of_row))
    row_to_used = torch.tensor([used.index(i) for i in prompt_of_row], device=model.device)
    prompt_ids, prompt_lengths = pad_right([prompts[i] for i in used], model.device)
    ids, lengths = pad_right(completions, model.device)  # (B, T)

    prompt_hidden, prefix = model.prefill(prompt_ids, prompt_lengths)  # (N, P, D)
    last = prompt_hidden[torch.arange(len(used), device=model.device), prompt_lengths - 1]  # (N, D)
    # Token t is predicted one position earlier: the first by the prompt's last token.
    hidden = model(ids[:, :-1], lengths - 1, prefix, row_to_used)  # (B, T - 1, D)
    hidden = torch.cat([last[row_to_used][:, None], hidden], dim=1)  # (B, T, D)

    return hidden, ids, Layout(lengths, ids.shape[1])


def token_log_probs(
    hidden: Tensor, tokens: Tensor, head: Tensor, temperature: float, chunk_tokens: int | None = None
) -> tuple[Tensor, Tensor]:
    """hidden (M, D), tokens (M,), head (V, D) -> log-probability (M,) and, without gradient, entropy (M,)."""
    chunk = chunk_tokens or max(1, CHUNK_ELEMENTS // len(head))
    if len(tokens) <= chunk:
        return _head_chunk(hidden, tokens, head, temperature)
    # Without checkpoint, autograd would keep the logits of every chunk.
    parts = [
        checkpoint(_head_chunk, h, t, head, temperature, use_reentrant=False, preserve_rng_state=False)
        for h, t in zip(hidden.split(chunk), tokens.split(chunk), strict=True)
    ]
    log_probs, entropy = zip(*parts, strict=True)
    return torch.cat(log_probs), torch.cat(entropy)


def _head_chunk(hidden: Tensor, tokens: Tensor, head: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    log_probs = processed_log_probs(hidden @ head.T, temperature)  # (M, V)
    with torch.no_grad():
        entropy = -log_probs.exp().mul_(log_probs).sum(-1)  # in place: (M, V) once less
    return log_probs.gather(-1, tokens[:, None]).squeeze(-1), entropy
