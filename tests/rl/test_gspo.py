"""GSPO against plain loops and closed forms."""

import math

import pytest
import torch

from rl import grpo, gspo
from rl.learner import Totals


def batch(seed=0, rows=5, width=7, spread=1e-3):
    generator = torch.Generator().manual_seed(seed)
    new = (-torch.rand(rows, width, generator=generator, dtype=torch.float64)).requires_grad_()
    old = new.detach() + spread * torch.randn(rows, width, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, width + 1, (rows,), generator=generator)
    mask = (torch.arange(width) < lengths[:, None]).double()
    advantages = torch.randn(rows, 1, generator=generator, dtype=torch.float64) * mask
    return new, old, advantages, mask


def plain_loss(new, old, advantages, mask, low, high):
    total = 0.0
    for i in range(len(new)):
        length = int(mask[i].sum())
        ratio = math.exp(sum(new[i, t].item() - float(old[i, t]) for t in range(length)) / length)
        advantage = float(advantages[i, 0])
        total += min(ratio * advantage, min(max(ratio, 1 - low), 1 + high) * advantage)
    return -total / len(new)


def test_loss_equals_a_plain_loop():
    """A sum of log-ratios in place of their mean, or a ratio for each token."""
    for seed in range(5):
        new, old, advantages, mask = batch(seed)
        loss, _ = gspo.policy_loss(new, old, advantages, mask, Totals(5, int(mask.sum())))
        assert float(loss.detach()) == pytest.approx(plain_loss(new, old, advantages, mask, 3e-4, 4e-4), rel=1e-12)


@pytest.mark.parametrize(
    ("advantage", "shift", "has_gradient"), [(1, 1, False), (1, -1, True), (-1, 1, True), (-1, -1, False)]
)
def test_a_clipped_sequence_has_no_gradient_at_any_token(advantage, shift, has_gradient):
    """Clipping token by token, or on the wrong side for negative advantages."""
    old = torch.tensor([[-0.5, -1.0, -0.2]], dtype=torch.float64)
    new = (old + 0.01 * shift).requires_grad_()
    one = torch.ones(1, 3, dtype=torch.float64)
    loss, metrics = gspo.policy_loss(new, old, advantage * one, one, Totals(1, 3))
    loss.backward()
    assert bool(new.grad.any()) == has_gradient
    assert metrics["clip_ratio/low_mean"] + metrics["clip_ratio/high_mean"] == (not has_gradient)


def test_on_policy_gradient_equals_grpo():
    """At ratio 1 the two losses have the same gradient (paper, section 4.2); a different one means a wrong factor."""
    new, _, advantages, mask = batch()
    totals = Totals(5, int(mask.sum()))
    gradients = []
    for algorithm in (grpo, gspo):
        loss, _ = algorithm.policy_loss(new, new.detach(), advantages, mask, totals)
        gradients.append(torch.autograd.grad(loss, new)[0])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-12, atol=0)


def test_padding_has_no_influence():
    """Log-ratios of padding counted into the sequence's ratio."""
    new, old, advantages, mask = batch()
    totals = Totals(5, int(mask.sum()))
    loss, _ = gspo.policy_loss(new, old, advantages, mask, totals)
    other = torch.where(mask.bool(), new.detach(), -3.0)
    again, _ = gspo.policy_loss(other, old, advantages, mask, totals)
    assert float(loss.detach()) == pytest.approx(again.item(), rel=1e-12)
