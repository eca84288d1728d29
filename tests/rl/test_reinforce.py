"""REINFORCE against plain loops and a tiny model that learns one token."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from rl.learner import Learner, Settings
from rl.lora import add_lora
from rl.loss import Totals
from rl.model import ModelConfig, init_model
from rl.reinforce import Options, batch_advantages, policy_loss, train
from rl.rollout import Batch, Rollout
from rl.sample import sample


def batch(seed=0, rows=8, width=5):
    """Random float64 rows of several lengths, one of them masked out, with garbage at the padding; their totals."""
    generator = torch.Generator().manual_seed(seed)

    def randn(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    lengths = torch.randint(1, width + 1, (rows,), generator=generator)
    mask = (torch.arange(width) < lengths[:, None]).double()
    loss_mask = mask.clone()
    loss_mask[3] = 0.0
    new, advantages = randn(rows, width).where(mask.bool(), 7.0), randn(rows, width).where(mask.bool(), 50.0)
    rollouts = [Rollout(0, i, [3], [4] * width, [], "eos", "") for i in range(rows)]
    data = Batch(rollouts, mask, loss_mask, new.detach(), randn(rows, width), advantages=advantages)
    return new.requires_grad_(), data, Totals(rows + 2, int(loss_mask.sum()) + 9, width)


def plain_loss(new, data, totals):
    """Value and gradient, token by token, with Python floats: - 1/B sum_i sum_t w_it A_it log pi_it."""
    value, gradient = 0.0, [[0.0] * new.shape[1] for _ in new]
    for i in range(len(new)):
        for t in range(int(data.loss_mask[i].sum())):
            weight = 1.0 if data.weights is None else data.weights[i, t].item()
            gradient[i][t] = -weight * data.advantages[i, t].item() / totals.rows
            value += gradient[i][t] * new[i, t].item()
    return value, gradient


# advantages ------------------------------------------------------------------------------------------------


def test_advantages_of_a_batch_by_hand():
    """A baseline of each group, or a division by a deviation: the mean of 0, 1, 1, 1 is 0.75."""
    assert batch_advantages(torch.tensor([[0.0, 1.0], [1.0, 1.0]])).tolist() == [[-0.75, 0.25], [0.25, 0.25]]
    assert batch_advantages(torch.tensor([[2.0], [-1.0], [0.5]])).tolist() == [[1.5], [-1.5], [0.0]]  # groups of one


def test_equal_rewards_have_exactly_no_advantage():
    """The mean of 0.7 many times is not 0.7 in floats: AdamW makes whole steps of the round-off."""
    rewards = torch.full((3, 4), 0.7)
    assert (rewards - rewards.mean()).abs().max() > 0  # the trap is real
    assert (batch_advantages(rewards) == 0).all()


# loss ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_loss_and_gradient_equal_a_plain_loop(weighted):
    """A wrong sign, a mean over tokens, padding or a masked row that counts, weights left out, or a ratio of old."""
    for seed in range(5):
        new, data, totals = batch(seed)
        if weighted:
            generator = torch.Generator().manual_seed(seed)
            data = replace(data, weights=torch.rand(8, 1, generator=generator, dtype=torch.float64).expand(8, 5))
        value, gradient = plain_loss(new, data, totals)
        loss, metrics = policy_loss(new, data, totals, Options())
        assert loss.item() == metrics["policy_loss"] == pytest.approx(value, rel=1e-12)
        (found,) = torch.autograd.grad(loss, new)
        assert found.tolist() == [pytest.approx(row, rel=1e-12, abs=1e-15) for row in gradient]


def test_microbatches_add_up():
    """A mean over the microbatch's rows."""
    new, data, totals = batch()
    whole = policy_loss(new, data, totals, Options())[0].item()
    parts = [
        policy_loss(new[i:j], data.rows(list(range(i, j))), totals, Options())[0].item()
        for i, j in ((0, 3), (3, 4), (4, 8))
    ]
    assert whole == pytest.approx(sum(parts), rel=1e-12)


# options ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minibatches", "epochs"), [(2, 1), (1, 2), (4, 3)])
def test_more_than_one_optimizer_step_a_batch_is_refused(minibatches, epochs):
    """Old samples taken for new ones: from the second step on, the gradient is not that of the expected reward."""
    with pytest.raises(ValueError, match="--minibatches, --epochs: reinforce takes one optimizer step"):
        Options().check(SimpleNamespace(minibatches=minibatches, epochs=epochs))
    Options().check(SimpleNamespace(minibatches=1, epochs=1))


# the loop --------------------------------------------------------------------------------------------------

PROMPTS = [[5, 6, 7], [8, 9]]


def make_model():
    model = init_model(ModelConfig("qwen3", 12, 16, 32, 1, 2, 1, 8, tie_word_embeddings=True), seed=1)
    with torch.no_grad():
        model.model.embed_tokens.weight.mul_(10)  # fresh from init all its logits are nearly 0
    add_lora(model, rank=2, alpha=4, seed=2)
    return model


def run(model, reward_of, steps, size=16, **settings):
    """Trains on single tokens, rewarded by `reward_of`; what was logged."""

    def collect(step):
        places = {"seed": 0, "step": step, "prompt_ids": [0, 1], "group_size": size}
        drawn = sample(model, PROMPTS, **places, max_new_tokens=1, eos_ids=[1])
        return [
            Rollout(i // size, i % size, PROMPTS[i // size], c.ids, c.log_probs, "eos", "", reward=reward_of(c.ids[0]))
            for i, c in enumerate(drawn)
        ]

    learner, logged = Learner(model, Settings(**{"lr": 3e-2, "steps": steps} | settings)), []
    train(learner, collect, lambda batch, metrics: logged.append((batch, metrics)), Options())
    assert learner.step == len(logged) == steps
    return logged


def is_even(token):
    return float(token % 2 == 0)


def probability(model, prompt):
    """Of an even token after a prompt."""
    with torch.no_grad():
        logits = model.logits(model(torch.tensor([prompt]), torch.tensor([len(prompt)])))[0, -1]
    return logits.softmax(0)[::2].sum().item()


def test_training_raises_the_probability_of_rewarded_tokens():
    """A sign error anywhere between reward and optimizer, or a loop that takes no step."""
    model = make_model()
    before = [probability(model, prompt) for prompt in PROMPTS]
    logged = run(model, is_even, steps=12, lr_schedule="constant")
    after = [probability(model, prompt) for prompt in PROMPTS]
    assert max(before) < 0.2
    assert min(after) > 0.6
    batch, metrics = logged[0]
    rewards = [rollout.reward for rollout in batch.rollouts]
    assert 0 < sum(rewards) < len(rewards)
    mean = sum(rewards) / len(rewards)
    assert batch.advantages[:, 0].tolist() == pytest.approx([reward - mean for reward in rewards], abs=1e-6)
    assert metrics["optimizer_steps"] == 1.0
    expected = -sum((r.reward - mean) * r.log_probs[0] for r in batch.rollouts) / len(rewards)
    assert metrics["policy_loss"] == pytest.approx(expected, rel=1e-4)


def test_importance_weights_are_those_of_whole_sequences():
    """Weights of single tokens in an algorithm whose action is the whole completion."""
    model = make_model()

    def collect(step):
        completion, log_probs = [4, 5, 1], [math.log(1 / 12) - 0.2] * 3  # a sampler that is off
        return [Rollout(0, i, PROMPTS[0], completion, log_probs, "eos", "", reward=float(i)) for i in range(2)]

    logged = []
    settings = Settings(1e-3, 1, old_log_probs="recompute", importance_cap=9.0)
    train(Learner(model, settings), collect, lambda batch, metrics: logged.append(batch), Options())
    ratio = (logged[0].old_log_probs - logged[0].sampled_log_probs).sum(dim=1).exp()
    torch.testing.assert_close(logged[0].weights, ratio[:, None].expand(2, 3))


def test_a_batch_of_equal_rewards_takes_no_step():
    """AdamW moving along round-off on a batch that says nothing."""
    model = make_model()
    before = [p.detach().clone() for p in model.parameters()]
    logged = run(model, lambda token: 0.7, steps=2, size=6)
    assert [metrics["optimizer_steps"] for _, metrics in logged] == [0.0, 0.0]
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
