"""GSPO against plain loops and closed forms."""

import math
from dataclasses import fields, replace
from types import SimpleNamespace

import pytest
import torch

from rl import grpo, gspo
from rl.loss import Totals
from rl.rollout import Batch


def batch(seed=0, rows=5, width=7, spread=1e-3):
    """Random log-probabilities; old ones, advantages and lengths as a batch; its totals. In float64."""
    generator = torch.Generator().manual_seed(seed)
    new = (-torch.rand(rows, width, generator=generator, dtype=torch.float64)).requires_grad_()
    old = new.detach() + spread * torch.randn(rows, width, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, width + 1, (rows,), generator=generator)
    mask = (torch.arange(width) < lengths[:, None]).double()
    advantages = torch.randn(rows, 1, generator=generator, dtype=torch.float64) * mask
    return new, Batch([], mask, mask, old, old, advantages=advantages), Totals(rows, int(mask.sum()), width)


def plain_loss(new, data, low, high):
    old, advantages, mask, total = data.old_log_probs, data.advantages, data.mask, 0.0
    for i in range(len(new)):
        length = int(mask[i].sum())
        ratio = math.exp(sum(new[i, t].item() - float(old[i, t]) for t in range(length)) / length)
        advantage = float(advantages[i, 0])
        total += min(ratio * advantage, min(max(ratio, 1 - low), 1 + high) * advantage)
    return -total / len(new)


def test_loss_equals_a_plain_loop():
    """A sum of log-ratios in place of their mean, or a ratio for each token."""
    for seed in range(5):
        new, data, totals = batch(seed)
        loss, _ = gspo.policy_loss(new, data, totals, gspo.Options())
        assert float(loss.detach()) == pytest.approx(plain_loss(new, data, 3e-4, 4e-4), rel=1e-12)


@pytest.mark.parametrize(
    ("advantage", "shift", "has_gradient"), [(1, 1, False), (1, -1, True), (-1, 1, True), (-1, -1, False)]
)
def test_a_clipped_sequence_has_no_gradient_at_any_token(advantage, shift, has_gradient):
    """Clipping token by token, or on the wrong side for negative advantages."""
    old = torch.tensor([[-0.5, -1.0, -0.2]], dtype=torch.float64)
    new = (old + 0.01 * shift).requires_grad_()
    one = torch.ones(1, 3, dtype=torch.float64)
    data = Batch([], one, one, old, old, advantages=advantage * one)
    loss, metrics = gspo.policy_loss(new, data, Totals(1, 3, 3), gspo.Options())
    loss.backward()
    assert bool(new.grad.any()) == has_gradient
    assert metrics["clip_ratio/low_mean"] + metrics["clip_ratio/high_mean"] == (not has_gradient)


def test_on_policy_gradient_equals_grpo():
    """At ratio 1 the two losses have the same gradient (paper, section 4.2); a different one means a wrong factor."""
    new, data, totals = batch()
    data = replace(data, old_log_probs=new.detach())
    gradients = []
    for algorithm in (grpo, gspo):
        loss, _ = algorithm.policy_loss(new, data, totals, algorithm.Options())
        gradients.append(torch.autograd.grad(loss, new)[0])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-12, atol=0)


def test_padding_has_no_influence():
    """Log-ratios of padding counted into the sequence's ratio."""
    new, data, totals = batch()
    loss, _ = gspo.policy_loss(new, data, totals, gspo.Options())
    other = torch.where(data.mask.bool(), new.detach(), -3.0)
    again, _ = gspo.policy_loss(other, data, totals, gspo.Options())
    assert float(loss.detach()) == pytest.approx(again.item(), rel=1e-12)


def token_loss(new, data, low, high):
    """GSPO-token, eq. 13, in Python floats: every token has the sequence's ratio and its own advantage."""
    old, advantages, mask, total = data.old_log_probs, data.advantages, data.mask, 0.0
    for i in range(len(new)):
        length = int(mask[i].sum())
        ratio = math.exp(sum(new[i, t].item() - float(old[i, t]) for t in range(length)) / length)
        clipped = min(max(ratio, 1 - low), 1 + high)
        for t in range(length):
            total += min(ratio * float(advantages[i, t]), clipped * float(advantages[i, t])) / length
    return -total / len(new)


def test_token_level_equals_a_plain_loop_and_its_gradient_is_the_tokens():
    """GSPO-token whose advantages are averaged, or whose gradient reaches the other tokens through the ratio."""
    new, data, totals = batch(3)
    old, mask = data.old_log_probs, data.mask
    advantages = torch.randn(5, 7, generator=torch.Generator().manual_seed(9), dtype=torch.float64) * mask
    data = replace(data, advantages=advantages)
    loss, metrics = gspo.policy_loss(new, data, totals, gspo.Options(ratio_level="token"))
    assert float(loss.detach()) == pytest.approx(token_loss(new, data, 3e-4, 4e-4), rel=1e-12)
    (gradient,) = torch.autograd.grad(loss, new)
    lengths = mask.sum(dim=1, keepdim=True)
    ratio = torch.exp(((new.detach() - old) * mask).sum(dim=1, keepdim=True) / lengths)
    cut = ((ratio < 1 - 3e-4) & (advantages < 0)) | ((ratio > 1 + 4e-4) & (advantages > 0))
    assert (cut & mask.bool()).any()
    assert (~cut & mask.bool()).any()
    expected = torch.where(cut, 0.0, -ratio * advantages / lengths / 5) * mask
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-15)
    shares = metrics["clip_ratio/low_mean"] + metrics["clip_ratio/high_mean"]
    assert shares == pytest.approx(float(((cut * mask).sum(dim=1) / lengths[:, 0]).mean()))


def test_token_level_with_one_advantage_a_row_is_gspo():
    """A GSPO-token that is another algorithm where advantages do not differ (paper, section 4.3)."""
    new, data, totals = batch(4)
    results = []
    for level in gspo.LEVELS:
        loss, _ = gspo.policy_loss(new, data, totals, gspo.Options(ratio_level=level))
        results.append((loss.detach(), torch.autograd.grad(loss, new)[0]))
    torch.testing.assert_close(results[0], results[1], rtol=1e-12, atol=1e-15)


def test_unknown_level_is_an_error():
    """A misspelt level that silently means the other one, on the command line or in the loss."""
    new, data, totals = batch()
    with pytest.raises(ValueError, match="ratio-level"):
        gspo.policy_loss(new, data, totals, gspo.Options(ratio_level="tokens"))
    choices = {field.name: field.metadata["choices"] for field in fields(gspo.Options)}
    assert choices["ratio_level"] == gspo.LEVELS == ("sequence", "token")


def test_credit_per_token_needs_the_tokens_ratio():
    """Credit that is placed at tokens, then averaged over the row by the sequence's ratio, without a word."""
    run = SimpleNamespace(credit="executed")
    with pytest.raises(ValueError, match="--credit executed.*--ratio-level token"):
        gspo.Options().check(run)
    gspo.Options(ratio_level="token").check(run)
    gspo.Options().check(SimpleNamespace(credit="uniform"))
