"""Optimizer steps and the tensors of a batch of rollouts."""

from functools import partial

import pytest
import torch

from rl import grpo, gspo
from rl.learner import Learner, _slices
from rl.lora import add_lora, lora_parameters
from rl.model import ModelConfig, init_model
from rl.rollout import Rollout, length_mask, per_token, reward_table, sampled_log_probs
from rl.sample import sample

CONFIG = ModelConfig("qwen3", 40, 32, 64, 2, 4, 2, 8, tie_word_embeddings=True)


def make_model(dtype=torch.float32):
    model = init_model(CONFIG, seed=1).to(dtype)
    add_lora(model, rank=2, alpha=4, seed=2)
    with torch.no_grad():
        for number, parameter in enumerate(lora_parameters(model)):
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
    return model


def make_rollouts(model, groups=3, size=4):
    """Sampled rollouts of several lengths, with rewards that differ within each group but the last."""
    prompts = [[5, 6, 7, 8][: n + 2] for n in range(groups)]
    completions = sample(
        model,
        prompts,
        seed=0,
        step=0,
        prompt_ids=list(range(groups)),
        group_size=size,
        max_new_tokens=9,
        eos_ids=[0, 1, 2],
    )
    rollouts = []
    for i, c in enumerate(completions):
        n, g = divmod(i, size)
        rollouts.append(
            Rollout(n, g, prompts[n], c.ids, c.log_probs, c.finish, "", reward=(g % 3) / 2 if n < groups - 1 else 1.0)
        )
    return rollouts


def make_learner(model, **changes):
    settings = {"lr": 1e-2, "steps": 10, "warmup": 0, "minibatches": 1, "microbatch_rows": 64, "temperature": 1.0}
    return Learner(model, **{**settings, "max_grad_norm": 1.0, **changes})


def advantages_of(rollouts, size=4):
    return per_token(grpo.group_advantages(reward_table(rollouts, size)), rollouts)


@pytest.mark.parametrize("algorithm", [grpo, gspo])
def test_microbatches_change_no_result(algorithm):
    """A normaliser or a clip that depends on how the rollouts are cut for memory."""
    results = []
    for rows in (64, 3, 1):
        model = make_model(torch.float64)
        rollouts = make_rollouts(model)
        learner = make_learner(model, microbatch_rows=rows)
        metrics = learner.update(0, rollouts, advantages_of(rollouts).double(), algorithm.policy_loss)
        results.append((metrics, [p.detach().clone() for p in lora_parameters(model)]))
    for metrics, parameters in results[1:]:
        assert metrics == pytest.approx(results[0][0], rel=1e-9, abs=1e-12)
        for a, b in zip(parameters, results[0][1], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_a_batch_without_spread_takes_no_step():
    """AdamW moving along its old momentum on a batch that says nothing."""
    model = make_model()
    rollouts = make_rollouts(model)
    learner = make_learner(model)
    learner.update(0, rollouts, advantages_of(rollouts), grpo.policy_loss)  # fills the momentum
    before = [p.detach().clone() for p in lora_parameters(model)]
    metrics = learner.update(1, rollouts, torch.zeros_like(advantages_of(rollouts)), grpo.policy_loss)
    assert all(torch.equal(a, b) for a, b in zip(before, lora_parameters(model), strict=True))
    assert metrics["grad_norm"] == 0.0
    assert "entropy" not in metrics  # not computed, so not claimed


def test_update_raises_the_better_and_lowers_the_worse():
    """A sign error anywhere between reward and optimizer."""
    model = make_model()
    rollouts = make_rollouts(model)
    advantages = advantages_of(rollouts)
    seen = {}

    def spy(name, log_probs, old, advantages, mask, totals):
        seen[name] = ((log_probs - old) * advantages * mask).sum().item()
        return grpo.policy_loss(log_probs, old, advantages, mask, totals)

    learner = make_learner(model, lr=1e-3)
    learner.update(0, rollouts, advantages, partial(spy, "before"))
    learner.update(1, rollouts, advantages, partial(spy, "after"))
    assert seen["before"] == pytest.approx(0.0, abs=1e-4)
    assert seen["after"] > 0.01


def test_only_lora_weights_move():
    """The base trained along, or an optimizer with nothing in it."""
    model = make_model()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    rollouts = make_rollouts(model)
    make_learner(model).update(0, rollouts, advantages_of(rollouts), gspo.policy_loss)
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name in before if "lora_" in name}


def test_sampler_and_learner_gap_is_measured_and_small():
    """Training on log-probabilities of another distribution than the sampled one, unnoticed."""
    model = make_model()
    rollouts = make_rollouts(model)
    good = make_learner(model).update(0, rollouts, advantages_of(rollouts), grpo.policy_loss)
    assert good["sampling/sampling_logp_difference/max"] <= 1e-4
    rollouts = make_rollouts(model)
    wrong = make_learner(model, temperature=0.7).update(0, rollouts, advantages_of(rollouts), grpo.policy_loss)
    assert wrong["sampling/sampling_logp_difference/max"] > 1e-2


def test_learning_rate_warms_up_and_decays():
    """A schedule off by one: a first step of zero, or a last one below zero."""
    learner = make_learner(make_model(), lr=1.0, steps=10, warmup=4)
    rates = [learner.learning_rate(step) for step in range(10)]
    assert rates[:4] == [0.25, 0.5, 0.75, 0.7]
    assert rates[4:] == pytest.approx([0.6, 0.5, 0.4, 0.3, 0.2, 0.1])


def test_slices_cover_all_rows_once():
    """A rollout lost at the edge of a minibatch."""
    for count in range(1, 12):
        for parts in range(1, 6):
            slices = _slices(count, parts)
            assert [i for start, stop in slices for i in range(start, stop)] == list(range(count))
            assert max(b - a for a, b in slices) - min(b - a for a, b in slices) <= 1 or parts > count


def test_masks_come_from_lengths_not_from_ids():
    """EOS masked away because its id is also the padding's: the model then never learns to stop."""
    rollouts = [
        Rollout(0, 0, [3], [4, 0], [-1.0, -2.0], "eos", ""),
        Rollout(0, 1, [3], [5, 0, 0], [-1.0, -1.5, -3.0], "length", ""),
    ]
    assert length_mask(rollouts).tolist() == [[1, 1, 0], [1, 1, 1]]
    assert sampled_log_probs(rollouts).tolist() == [[-1, -2, 0], [-1, -1.5, -3]]
    assert per_token(torch.tensor([[2.0, -1.0]]), rollouts).tolist() == [[2, 2, 0], [-1, -1, -1]]
