"""What the learner does for the sake of memory: microbatches by tokens, blocks computed again, a head in chunks."""

from random import Random

import pytest
import torch

from experiments.benchmarks.memory import LiveBytes
from rl import grpo, logprobs
from rl.credit import token_advantages
from rl.critic import KINDS, Critic
from rl.learner import Learner, Settings, _bounds, layout_of
from rl.logprobs import completion_logprobs, token_log_probs
from rl.lora import add_lora, lora_parameters
from rl.model import ModelConfig, init_model
from rl.rollout import Rollout, reward_table

CONFIG = ModelConfig("qwen3", 40, 32, 64, 3, 4, 2, 8, tie_word_embeddings=True)
LENGTHS = [5, 1, 9, 26, 3, 13, 2, 17, 4, 4, 30, 8]
GROUP = 4


def make_model(dtype=torch.float32):
    model = init_model(CONFIG, seed=1).to(dtype)
    add_lora(model, rank=2, alpha=4)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in lora_parameters(model):
            parameter.copy_(0.15 * torch.randn(parameter.shape, generator=generator))
    return model


def make_rollouts():
    """Three prompts of several lengths; rewards differ within each group."""
    random, prompts = Random(0), [[5, 6, 7], [8, 9, 10, 11, 12, 13, 14, 15], [16]]
    rollouts = []
    for i, length in enumerate(LENGTHS):
        ids = random.choices(range(40), k=length)
        reward = (i * 5 % 7) / 7
        rollouts.append(
            Rollout(i // GROUP, i % GROUP, prompts[i // GROUP], ids, [-3.7] * length, "eos", "", reward=reward)
        )
    return rollouts


# microbatches ----------------------------------------------------------------------------------------------


def test_microbatches_are_as_large_as_both_bounds_let_them_be():
    """A bound that is off by a row, a prompt that is counted for each of its rows, or a row that is lost or alone."""
    random = Random(1)
    for _ in range(200):
        groups = random.randint(1, 5)
        prompts = [random.randint(1, 30) for _ in range(groups)]
        rows = [(g, prompts[g], random.randint(1, 20)) for g in range(groups) for _ in range(random.randint(1, 6))]
        most_rows, most_tokens = random.randint(1, 8), random.choice([0, 1, 30, 60, 120])

        def tokens(part):
            distinct = {prompt_id: length for prompt_id, length, _ in part}
            return len(part) * max(c for _, _, c in part) + len(distinct) * max(distinct.values())

        def fits(part, most_rows=most_rows, most_tokens=most_tokens):
            return len(part) <= most_rows and (most_tokens == 0 or tokens(part) <= most_tokens)

        bounds = _bounds(rows, most_rows, most_tokens)
        assert [i for start, stop in bounds for i in range(start, stop)] == list(range(len(rows)))
        for start, stop in bounds:
            assert stop - start == 1 or fits(rows[start:stop])
            assert stop == len(rows) or not fits(rows[start : stop + 1])


def test_a_token_budget_counts_a_prompt_once_and_the_padding():
    """Counted by hand: 8 + 2 * 3 = 14 tokens are within 20, 8 + 3 * 5 = 23 are not; nor is a second prompt."""
    rows = [(7, 8, 2), (7, 8, 3), (7, 8, 5), (9, 6, 4)]
    assert _bounds(rows, 128, 20) == [(0, 2), (2, 3), (3, 4)]
    assert _bounds(rows, 128, 23) == [(0, 3), (3, 4)]
    assert _bounds(rows, 128, 2 * 8 + 4 * 5) == [(0, 4)]
    assert _bounds(rows, 1, 0) == [(0, 1), (1, 2), (2, 3), (3, 4)]


@pytest.mark.parametrize("budget", [1, 40, 90, 10**6])
def test_a_token_budget_changes_no_result(budget):
    """A mean over a microbatch, or rows of the log-probabilities or values that come back in another order."""
    results = []
    for microbatch_tokens in (0, budget):
        model = make_model(torch.float64)
        critic = Critic(model, "lora", rank=2, alpha=4, seed=3)
        settings = Settings(1e-2, 10, max_new_tokens=30, microbatch_tokens=microbatch_tokens)
        learner = Learner(model, settings, critic=critic, critic_lr=1e-2)
        with torch.no_grad():
            critic.head.weight.fill_(0.3)
        batch = learner.prepare(make_rollouts())
        advantages, _ = grpo.group_advantages(reward_table(batch.rollouts).to(batch.mask))
        batch.advantages = token_advantages(advantages, 1.0, batch)
        batch.values, log_probs = learner.values(batch), learner.log_probs(model, batch)
        metrics = learner.update(batch, grpo.policy_loss, grpo.Options())
        results.append((metrics, [batch.values, log_probs, *(p.detach() for p in lora_parameters(model))]))
    assert results[1][0] == pytest.approx(results[0][0], rel=1e-6, abs=1e-9)
    for ours, whole in zip(results[1][1], results[0][1], strict=True):
        torch.testing.assert_close(ours, whole, rtol=1e-9, atol=1e-12)


# gradient checkpointing ------------------------------------------------------------------------------------


def gradients(kind: str, checkpointing: bool):
    """The loss, all gradients and the number of bytes kept for the backward pass, of the policy or of a critic."""
    model, layout = make_model(), layout_of(make_rollouts())
    if kind == "policy":
        model.gradient_checkpointing = checkpointing
        with LiveBytes() as count:
            out, _ = completion_logprobs(model, *layout, temperature=0.8)
            kept = count.live
        trained = lora_parameters(model)
    else:
        critic = Critic(model, kind, rank=2, alpha=4, seed=3)
        trained = [p for p in critic.parameters() if p.requires_grad]
        with torch.no_grad():
            for parameter in trained:
                parameter.add_(0.05)  # LoRA's B and the head start at zero, and then there is no gradient beneath them
        critic.backbone.gradient_checkpointing = checkpointing
        with LiveBytes() as count:
            out = critic(*layout)
            kept = count.live
    loss = (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum()
    loss.backward()
    return loss.detach(), [p.grad for p in trained], kept


@pytest.mark.parametrize("kind", ["policy", *KINDS])
def test_gradient_checkpointing_changes_no_gradient(kind):
    """Blocks computed again on other inputs, or prompts whose keys and values get no gradient any more; and a switch
    that does nothing."""
    plain_loss, plain, plain_kept = gradients(kind, checkpointing=False)
    loss, ours, kept = gradients(kind, checkpointing=True)
    assert torch.equal(loss, plain_loss)
    for got, wanted in zip(ours, plain, strict=True):
        assert wanted.abs().max() > 0
        torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-9)
    assert kept == plain_kept if kind == "linear" else kept < 0.4 * plain_kept


def test_the_learner_switches_checkpointing_on_in_policy_and_critic():
    """A setting that reaches the policy only, so that the critic keeps what the policy no longer does."""
    for setting in (True, False):
        model = make_model()
        critic = Critic(model, "lora", rank=2, alpha=4)
        Learner(model, Settings(1e-2, 1, gradient_checkpointing=setting), critic=critic, critic_lr=1e-2)
        assert model.gradient_checkpointing is critic.backbone.gradient_checkpointing is setting


def test_all_layers_share_one_attention_mask():
    """A mask that each layer turns into a bias of its own and keeps: (B, T, P + T) numbers a layer."""
    masks = []
    layout = layout_of(make_rollouts())
    longest_prompt, longest = max(map(len, layout[0])), max(map(len, layout[2])) - 1  # the last token is not fed

    def note(tensor):
        if tensor.shape[-2:] == (longest, longest_prompt + longest):
            masks.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        completion_logprobs(make_model(), *layout)
    assert len(masks) == CONFIG.num_hidden_layers
    assert len({mask.untyped_storage().data_ptr() for mask in masks}) == 1


# the head --------------------------------------------------------------------------------------------------


def test_memory_of_a_large_head_does_not_grow_with_the_tokens(monkeypatch):
    """Logits of all tokens at once, or of every chunk kept for the backward pass; a copy of the chunk too many."""
    vocabulary, chunk = 151_936, 4
    monkeypatch.setattr(logprobs, "CHUNK_ELEMENTS", chunk * vocabulary)
    one = chunk * vocabulary * 4  # bytes of a chunk in fp32
    head = torch.randn(vocabulary, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    small = 100_000 + head.untyped_storage().nbytes()  # a view of the head counts as the head
    for learns, copies in ((True, 3), (False, 2)):
        peaks = []
        for tokens in (3 * chunk, 6 * chunk):
            hidden = torch.randn(tokens, 4, generator=torch.Generator().manual_seed(1)).bfloat16().requires_grad_()
            with LiveBytes() as count, torch.set_grad_enabled(learns):
                log_probs, _ = token_log_probs(hidden, torch.arange(tokens), head, temperature=0.7)
                if learns:
                    log_probs.sum().backward()
            peaks.append(count.peak)
        assert peaks[0] == pytest.approx(peaks[1], abs=small)
        assert peaks[1] <= copies * one + small


def test_log_probs_of_a_bf16_head_are_fp32():
    """Log-probabilities rounded to bf16, whose steps near -12 nats are 0.06: wider than any clip range."""
    generator = torch.Generator().manual_seed(0)
    hidden, head = (torch.randn(shape, generator=generator).bfloat16() for shape in ((5, 16), (301, 16)))
    tokens = torch.arange(5)
    ours, entropy = token_log_probs(hidden, tokens, head, 0.7)
    assert ours.dtype == entropy.dtype == torch.float32
    logits = (hidden @ head.T).double() / 0.7  # the logits are what bf16 makes of them; from there on nothing is lost
    wanted = torch.distributions.Categorical(logits=logits)
    torch.testing.assert_close(ours.double(), wanted.log_prob(tokens), atol=1e-5, rtol=0)
    torch.testing.assert_close(entropy.double(), wanted.entropy(), atol=1e-5, rtol=0)
