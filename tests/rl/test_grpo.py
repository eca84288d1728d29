"""GRPO against plain loops and closed forms."""

import math
import statistics

import pytest
import torch

from rl.grpo import Options, group_advantages, policy_loss
from rl.loss import Totals
from rl.rollout import Batch, Rollout


def batch(seed=0, rows=5, width=7):
    """Random log-probabilities; old ones, advantages and lengths as a batch; its totals. In float64."""
    generator = torch.Generator().manual_seed(seed)
    new = (-torch.rand(rows, width, generator=generator, dtype=torch.float64)).requires_grad_()
    old = new.detach() + 0.5 * torch.randn(rows, width, generator=generator, dtype=torch.float64)
    advantages = torch.randn(rows, 1, generator=generator, dtype=torch.float64).expand(rows, width)
    lengths = torch.randint(1, width + 1, (rows,), generator=generator)
    mask = (torch.arange(width) < lengths[:, None]).double()
    rollouts = [Rollout(0, i, [3], [4] * width, [], "eos", "") for i in range(rows)]
    data = Batch(rollouts, mask, mask, old, old, advantages=advantages)
    return new, data, Totals(rows, int(mask.sum()), width)


def plain_loss(new, data, low, high, rows):
    """Equation by equation, token by token, with Python floats."""
    old, advantages, mask, total = data.old_log_probs, data.advantages, data.mask, 0.0
    for i in range(len(new)):
        length = int(mask[i].sum())
        for t in range(length):
            ratio = math.exp(new[i, t].item() - float(old[i, t]))
            advantage = float(advantages[i, t])
            clipped = min(max(ratio, 1 - low), 1 + high)
            total += min(ratio * advantage, clipped * advantage) / length
    return -total / rows


def test_loss_equals_a_plain_loop():
    """A wrong normaliser, a clip on the wrong side, or padding that counts."""
    for seed in range(5):
        new, data, totals = batch(seed)
        loss, _ = policy_loss(new, data, totals, Options(clip_low=0.2, clip_high=0.28))
        assert float(loss.detach()) == pytest.approx(plain_loss(new, data, 0.2, 0.28, 5), rel=1e-12)


@pytest.mark.parametrize(
    ("advantage", "ratio", "has_gradient"),
    [
        (1.0, 1.5, False),
        (1.0, 0.5, True),
        (-1.0, 1.5, True),
        (-1.0, 0.5, False),
        (1.0, 1.0, True),
        (-1.0, 1.0, True),
    ],
)
def test_gradient_is_cut_on_the_right_side(advantage, ratio, has_gradient):
    """Clipping the harmful side: with a negative advantage the ratio may not fall further, but must rise back."""
    new = torch.tensor([[math.log(ratio)]], dtype=torch.float64, requires_grad=True)
    one = torch.ones(1, 1, dtype=torch.float64)
    data = Batch([], one, one, 0 * one, 0 * one, advantages=advantage * one)
    loss, _ = policy_loss(new, data, Totals(1, 1, 1), Options())
    loss.backward()
    expected = -advantage * ratio if has_gradient else 0.0
    assert new.grad.item() == pytest.approx(expected)


def test_padding_has_no_influence():
    """Garbage at the padding leaking into the loss or its gradient."""
    new, data, totals = batch()
    loss, _ = policy_loss(new, data, totals, Options())
    (gradient,) = torch.autograd.grad(loss, new)
    other = torch.where(data.mask.bool(), new.detach(), -3.0).requires_grad_()
    again, _ = policy_loss(other, data, totals, Options())
    assert loss.item() == pytest.approx(again.item(), rel=1e-12)
    assert (gradient[data.mask == 0] == 0).all()


def test_microbatches_add_up():
    """A normaliser taken from the microbatch, which weights short batches more."""
    new, data, totals = batch(rows=6)
    whole, whole_metrics = policy_loss(new, data, totals, Options())
    parts = [policy_loss(new[i : i + 2], data.rows([i, i + 1]), totals, Options()) for i in (0, 2, 4)]
    assert whole.item() == pytest.approx(sum(part[0].item() for part in parts), rel=1e-12)
    for name in ("clip_ratio/low_mean", "clip_ratio/high_mean"):
        assert whole_metrics[name] == pytest.approx(sum(part[1][name] for part in parts))
    assert torch.equal(whole_metrics["ratio"], torch.cat([part[1]["ratio"] for part in parts]))


def test_advantages_equal_a_plain_loop():
    """The biased standard deviation, or a mean or a deviation over the batch in place of the group's, or vice versa."""
    rewards = torch.tensor([[0.0, 0.2, 1.0], [0.6, 0.7, 0.6]], dtype=torch.float64)
    (scaled, by_group), (centered, ones) = group_advantages(rewards, "group"), group_advantages(rewards, "none")
    (by_batch, by_all), all_rewards = group_advantages(rewards, "batch"), rewards.flatten().tolist()
    assert by_group.shape == by_all.shape == ones.shape == (2, 1)
    assert ones.tolist() == [[1.0], [1.0]]
    for n, row in enumerate(rewards.tolist()):
        assert by_group[n].item() == pytest.approx(statistics.stdev(row) + 1e-4)
        assert by_all[n].item() == pytest.approx(statistics.stdev(all_rewards) + 1e-4)
        for g, value in enumerate(row):
            difference = value - statistics.mean(row)
            assert centered[n, g].item() == pytest.approx(difference)
            assert scaled[n, g].item() == pytest.approx(difference / (statistics.stdev(row) + 1e-4))
            assert by_batch[n, g].item() == pytest.approx(difference / (statistics.stdev(all_rewards) + 1e-4))


def test_equal_rewards_have_exactly_no_advantage():
    """0.7 eight times has a mean that is not 0.7 in floats: round-off, divided by a tiny deviation, trains on noise."""
    rewards = torch.full((4, 8), 0.7)
    assert (rewards - rewards.mean(dim=1, keepdim=True)).abs().max() > 0  # the trap is real
    assert (group_advantages(rewards)[0] == 0).all()


def test_group_of_one_and_unknown_scale_are_errors():
    """A group of one has a standard deviation of NaN."""
    with pytest.raises(ValueError, match="group-size"):
        group_advantages(torch.ones(3, 1))
    with pytest.raises(ValueError, match="scale-rewards: unknown 'prompt'"):
        group_advantages(torch.ones(3, 2), "prompt")


def test_expected_gradient_is_that_of_the_expected_reward():
    """A sign or a baseline that turns the update away from more reward.

    A policy over 3 actions, groups of 2, all 9 groups enumerated: without std scaling the expected gradient of
    the loss is -(1 - 1/G) times the gradient of the expected reward.
    """
    logits = torch.tensor([0.3, -0.5, 0.1], dtype=torch.float64, requires_grad=True)
    values = torch.tensor([1.0, 0.2, 0.6], dtype=torch.float64)
    (true,) = torch.autograd.grad((logits.softmax(0) * values).sum(), logits)
    expected = torch.zeros(3, dtype=torch.float64)
    one = torch.ones(2, 1, dtype=torch.float64)
    for i in range(3):
        for j in range(3):
            log_probs = logits.log_softmax(0)
            chosen = log_probs[[i, j]][:, None]  # (2, 1)
            advantages = group_advantages(values[[i, j]][None], "none")[0].view(2, 1)
            data = Batch([], one, one, chosen.detach(), chosen.detach(), advantages=advantages)
            loss, _ = policy_loss(chosen, data, Totals(2, 2, 1), Options())
            (gradient,) = torch.autograd.grad(loss, logits)
            expected += (log_probs[i] + log_probs[j]).exp().item() * gradient
    torch.testing.assert_close(expected, -0.5 * true, rtol=1e-12, atol=1e-14)
