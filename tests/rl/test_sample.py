import math
import re

import numpy as np
import pytest
import torch

from rl import sample as sample_module
from rl.decoding import FUSED_ELEMENTS, GroupDecoder, fuse
from rl.logprobs import completion_logprobs, processed_log_probs
from rl.lora import LoRALinear, add_lora, lora_parameters
from rl.model import ModelConfig, init_model, pad_right
from rl.sample import draw, rollout_uniforms, sample

V = 61
PROMPTS = [[5, 1, 7, 7, 2, 9, 11], [3], [8, 0, 4], [5, 1, 7]]
NAMES = ["a", "b", "c", "d"]
EOS = [0, 1, 2, 3]  # several, so that random models end at various lengths


def random_model(family="qwen3", lora=False):
    """A model whose distributions are neither flat nor a point, optionally with adapters."""
    model = init_model(ModelConfig(family, V, 24, 40, 2, 4, 2, 6, max_position_embeddings=64), seed=0)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(12 if parameter.dim() == 2 else 1).add_(
                0.1 * torch.randn(parameter.shape, generator=generator)
            )
    if lora:
        add_lora(model, rank=3, alpha=6, seed=1)
        with torch.no_grad():
            for parameter in lora_parameters(model):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


def run(model, prompts=PROMPTS, names=NAMES, **changes):
    settings = {"seed": 3, "step": 5, "group_size": 4, "max_new_tokens": 20, "eos_ids": EOS} | changes
    return sample(model, prompts, prompt_ids=names, **settings)


def plain_forward(model, prompt, ids, temperature, top_k, top_p):
    """Log-probabilities of `ids` behind `prompt` from one uncached forward pass. (T,)"""
    with torch.no_grad():
        logits = model.logits(model(*pad_right([prompt + ids])))[0, len(prompt) - 1 : -1]
    log_probs = processed_log_probs(logits, temperature, top_k, top_p)
    return log_probs.gather(1, torch.tensor(ids)[:, None]).squeeze(1)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [(1.0, 0, 1.0), (0.7, 0, 1.0), (1.3, 5, 1.0), (1.0, 0, 0.8), (0.9, 9, 0.6)],
)
def test_cached_sampling_equals_an_uncached_forward(family, temperature, top_k, top_p):
    """Guards the cache, the shared prompt, dropped rows, merged LoRA, log-probs of truncated sampling."""
    model = random_model(family, lora=True)
    out = run(model, temperature=temperature, top_k=top_k, top_p=top_p)
    assert len({len(completion.ids) for completion in out}) > 3  # rows did end, and leave, at various steps
    for i, completion in enumerate(out):
        wanted = plain_forward(model, PROMPTS[i // 4], completion.ids, temperature, top_k, top_p)
        torch.testing.assert_close(torch.tensor(completion.log_probs), wanted, atol=1e-4, rtol=0)


def test_sampler_and_learner_agree_and_a_wrong_temperature_shows():
    """Guards a ratio that is not 1 on the policy's own samples (the learner's temperature left at 1, say)."""
    model = random_model(lora=True)
    out = run(model, temperature=0.7)
    rows, ids = [i // 4 for i in range(16)], [completion.ids for completion in out]
    sampled = torch.nn.utils.rnn.pad_sequence([torch.tensor(c.log_probs) for c in out], batch_first=True)
    with torch.no_grad():
        learned, _ = completion_logprobs(model, PROMPTS, rows, ids, temperature=0.7)
        wrong, _ = completion_logprobs(model, PROMPTS, rows, ids, temperature=1.0)
    assert (sampled - learned).abs().max() < 1e-4
    assert (sampled - wrong).abs().max() > 0.1


def test_greedy_is_the_argmax_with_its_log_prob_at_temperature_one():
    """Guards a division by zero temperature, and log-probs of 0 for every greedy token."""
    model = random_model()
    out = run(model, temperature=0, group_size=2, eos_ids=[])
    for i, completion in enumerate(out):
        prompt = PROMPTS[i // 2]
        with torch.no_grad():
            logits = model.logits(model(*pad_right([prompt + completion.ids])))[0, len(prompt) - 1 : -1]
        assert completion.ids == logits.argmax(-1).tolist()
        wanted = logits.log_softmax(-1).max(-1).values
        torch.testing.assert_close(torch.tensor(completion.log_probs), wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize("top_k", [0, 7])
def test_a_rollout_does_not_depend_on_the_rest_of_the_batch(top_k):
    """Guards draws from a shared stream: other prompts, their order, or chunks would change every rollout."""
    model = random_model(lora=True)
    together = run(model, top_k=top_k)
    for i, name in enumerate(NAMES):
        alone = run(model, [PROMPTS[i]], [name], top_k=top_k)
        assert [c.ids for c in alone] == [c.ids for c in together[4 * i : 4 * i + 4]]
    turned = run(model, PROMPTS[::-1], NAMES[::-1], top_k=top_k)
    assert [c.ids for c in turned] == [c.ids for i in (3, 2, 1, 0) for c in together[4 * i : 4 * i + 4]]
    for max_rows in (1, 3, 8):
        assert [c.ids for c in run(model, top_k=top_k, max_rows=max_rows)] == [c.ids for c in together]
    smaller = run(model, top_k=top_k, group_size=2)
    assert [c.ids for c in smaller] == [together[4 * i + g].ids for i in range(4) for g in range(2)]


def test_a_rollout_depends_on_seed_step_prompt_id_and_sample_index():
    """Guards a group of G equal samples, and steps that repeat the draws of the step before."""
    model = random_model()
    first = [c.ids for c in run(model)]
    assert [c.ids for c in run(model)] == first
    assert len({tuple(ids) for ids in first[:4]}) > 1
    for change in ({"seed": 4}, {"step": 6}, {"names": ["a", "b", "c", "e"]}):
        other = [c.ids for c in run(model, **change)]
        assert other[12:] != first[12:]
        assert ("names" in change) == (other[:12] == first[:12])


def test_dropping_rows_changes_nothing(monkeypatch):
    """Guards caches, slots or results that are re-indexed wrongly when the batch shrinks."""
    model = random_model()
    runs = []
    for share in (-1.0, 0.5, 1.0):  # never, seldom, at every end of a row
        monkeypatch.setattr(GroupDecoder, "COMPACT_BELOW", share)
        runs.append(run(model, group_size=8))
    for other in runs[1:]:
        for ours, theirs in zip(runs[0], other, strict=True):
            assert (ours.ids, ours.finish_reason) == (theirs.ids, theirs.finish_reason)
            np.testing.assert_allclose(ours.log_probs, theirs.log_probs, atol=1e-5)


def test_frequencies_follow_the_softmax():
    """Guards a biased inverse CDF (off by one token, uniforms shared between rows)."""
    model, count = random_model(), 4000
    out = run(model, PROMPTS[:1], NAMES[:1], group_size=count, max_new_tokens=1, max_rows=count)
    with torch.no_grad():
        logits = model.logits(model(*pad_right(PROMPTS[:1])))[0, -1]
    expected = logits.double().softmax(0) * count
    observed = torch.bincount(torch.tensor([c.ids[0] for c in out]), minlength=V)
    likely = expected >= 5  # chi-square wants at least five expected
    chi_square = ((observed - expected) ** 2 / expected)[likely].sum()
    freedom = int(likely.sum()) - 1
    assert freedom > 10
    assert abs(chi_square - freedom) < 4 * math.sqrt(2 * freedom)


def test_the_inverse_cdf_never_returns_a_token_without_probability():
    """Guards its two edges: u = 0 ahead of cut tokens, and u so near to 1 that u * total is the total."""
    probs = torch.tensor([[0.0, 0.0, 0.3, 0.0, 0.7, 0.0, 0.0]])
    edges = [0.0, 0.2999, 0.3001, 1 - 2.0**-53, 1.0]
    drawn = draw(probs.log().expand(5, -1), torch.tensor(edges, dtype=torch.float64))
    assert drawn.tolist() == [2, 2, 4, 4, 4]
    even = torch.full((4, 4), 0.25).log()
    assert draw(even, torch.tensor([0.0, 0.25, 0.5, 0.75], dtype=torch.float64)).tolist() == [0, 1, 2, 3]


def test_uniforms_are_the_same_for_ever():
    """Guards a change of key or generator, which would change the rollouts of every recorded seed."""
    uniforms = rollout_uniforms(1, 2, "mbpp/3", 4, 10_000)
    assert uniforms.dtype == np.float64
    assert uniforms.min() >= 0
    assert uniforms.max() < 1
    assert abs(uniforms.mean() - 0.5) < 0.01
    np.testing.assert_array_equal(uniforms[:5], rollout_uniforms(1, 2, "mbpp/3", 4, 5))
    assert uniforms[:2].tolist() == [0.6588918092905542, 0.9395256207458607]


def test_truncation_keeps_the_right_tokens():
    """Guards top-p that drops the token that reaches it, or that acts ahead of top-k."""
    logits = torch.tensor([0.1, 0.4, 0.3, 0.2]).log()
    whole = processed_log_probs(logits, 1.0)
    torch.testing.assert_close(whole.exp(), torch.tensor([0.1, 0.4, 0.3, 0.2]))
    for (top_k, top_p), kept in {
        (2, 1.0): [0, 4, 3, 0],
        (9, 1.0): [1, 4, 3, 2],
        (0, 0.39): [0, 4, 0, 0],
        (0, 0.41): [0, 4, 3, 0],
        (0, 0.75): [0, 4, 3, 2],
        (3, 0.75): [0, 4, 3, 0],  # of the three that top-k leaves, the first two hold 7/9
    }.items():
        wanted = torch.tensor(kept) / sum(kept)
        torch.testing.assert_close(processed_log_probs(logits, 1.0, top_k, top_p).exp(), wanted)
    colder = processed_log_probs(logits, 0.5).exp()
    torch.testing.assert_close(colder, torch.tensor([1, 16, 9, 4]) / 30)


def test_finish_reasons_and_the_budget():
    """Guards an EOS that is cut off (it is an action), tokens behind it, and rows longer than the budget."""
    out = run(random_model(), group_size=16)
    assert {completion.finish_reason for completion in out} == {"eos", "length"}
    for completion in out:
        assert len(completion.ids) == len(completion.log_probs) <= 20
        assert not any(token in EOS for token in completion.ids[:-1])
        assert (completion.ids[-1] in EOS) == (completion.finish_reason == "eos")
        assert completion.finish_reason == "eos" or len(completion.ids) == 20
    assert all(len(c.ids) == 1 for c in run(random_model(), max_new_tokens=1))


def text_of(ids):
    """Three characters a token, so that a fence or a stop string can begin and end within one."""
    return "".join(("```", "x\n`", "``\n", "ab\n", "\n``")[token % 5] for token in ids)


def closed_fence(ids):
    """Whether the first fenced block has been closed: a line of three backticks, and later another."""
    return len(re.findall(r"^```$", text_of(ids), re.MULTILINE)) >= 2


def stop_strings(ids):
    return any(stop in text_of(ids) for stop in ("b\nx\n`", "\n\n``a"))


@pytest.mark.parametrize("stop", [closed_fence, stop_strings])
@pytest.mark.parametrize("decoder", ["dynamic", "static"])
def test_a_row_stops_at_the_token_that_the_predicate_says_yes_to(decoder, stop):
    """Guards rows that run on behind their end, or stop at another row's; a static decoder that asks too late."""
    model = random_model()
    free = run(model, eos_ids=[7], max_new_tokens=30)
    shown = []

    def watched(ids):
        shown.append(tuple(ids))
        return stop(ids)

    out = run(model, eos_ids=[7], max_new_tokens=30, stop=watched, decoder=decoder)
    assert {completion.finish_reason for completion in out} == {"stop", "length", "eos"}
    expected = []  # what may be shown: each completion's beginnings, up to its end
    for ours, longer in zip(out, free, strict=True):
        beginnings = [longer.ids[: n + 1] for n in range(len(longer.ids)) if longer.ids[n] != 7]
        ends = [n for n, ids in enumerate(beginnings) if stop(ids)]
        assert ours.ids == (beginnings[ends[0]] if ends else longer.ids)
        assert ours.finish_reason == ("stop" if ends else longer.finish_reason)
        assert len(ours.log_probs) == len(ours.ids)
        expected += beginnings[: ends[0] + 1] if ends else beginnings
    assert sorted(shown) == sorted(map(tuple, expected))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompts": [[1], []], "names": [0, 1]}, "empty"),
        ({"names": ["a", "b", "c", "a"]}, "prompt_ids"),
        ({"names": ["a"]}, "prompt_ids"),
        ({"group_size": 0}, "group_size = 0"),
        ({"max_new_tokens": 0}, "max_new_tokens = 0"),
        ({"temperature": -1.0}, "temperature = -1.0"),
        ({"top_p": 0.0}, "top_p = 0.0"),
        ({"decoder": "statc"}, "decoder = 'statc': there are dynamic, static"),
        ({"max_new_tokens": 58}, "7 tokens and 58 new ones are 65 positions, and the model's window has 64"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    """Guards nonsense that would otherwise come out as samples."""
    with pytest.raises(ValueError, match=message):
        run(random_model(), **changes)


def test_drawing_leaves_the_log_probs_alone():
    """In float64 the cumulative sum was taken in place of the log-probabilities, which are read afterwards."""
    log_probs = torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64).log()
    before = log_probs.clone()
    draw(log_probs, torch.tensor([0.6], dtype=torch.float64))
    assert torch.equal(log_probs, before)


@pytest.mark.parametrize("settings", [{}, {"temperature": 0}, {"temperature": 0.7, "top_k": 20, "top_p": 0.9}])
def test_slices_of_a_large_vocabulary_change_no_bit(monkeypatch, settings):
    """Guards memory that grows with rows x vocabulary, bounded at the price of other draws: rows cut or mixed up."""
    model, sizes = random_model(), []
    whole = run(model, **settings)
    original = sample_module.processed_log_probs
    monkeypatch.setattr(sample_module, "CHOOSE_ELEMENTS", 3 * V)
    monkeypatch.setattr(
        sample_module,
        "processed_log_probs",
        lambda logits, *rest: (sizes.append(len(logits)), original(logits, *rest))[1],
    )
    assert run(model, **settings) == whole
    assert max(sizes) == 3


def test_a_window_that_is_just_large_enough_will_do():
    """Guards a limit that is off by one, and refuses what fits."""
    assert len(run(random_model(), max_new_tokens=57, eos_ids=[])[0].ids) == 57


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("adapted", [False, True])
def test_fusing_copies_small_weights_only(dtype, adapted):
    """Guards a second copy of a large model's weights at each call, and adapters that rounding to bf16 eats."""
    half = int((FUSED_ELEMENTS // 2) ** 0.5)
    for width, copied in ((half, dtype == torch.float32 or not adapted), (half + 8, False)):
        generator = torch.Generator().manual_seed(0)
        linears = [torch.nn.Linear(width, width, bias=True, dtype=dtype) for _ in range(2)]
        if adapted:
            linears[1] = LoRALinear(linears[1], rank=2, alpha=4)
            linears[1].lora_A.data.normal_(0, width**-0.5, generator=generator)  # it comes uninitialised
            linears[1].lora_B.data.normal_(generator=generator)
        x = torch.randn(3, width, generator=generator).to(dtype)
        with torch.no_grad():
            fused = fuse(linears)
            wanted = torch.cat([linear(x) for linear in linears], -1)
            torch.testing.assert_close(fused(x), wanted, atol=1e-4, rtol=1e-4)
            linears[0].weight.zero_()  # a copy does not notice
            assert torch.equal(fused(x)[:, :width], linears[0](x)) == (not copied)
