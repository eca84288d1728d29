"""RLOO against plain loops and closed forms."""

import math
from dataclasses import replace

import pytest
import torch

from rl.loss import Totals
from rl.rloo import Options, leave_one_out_advantages, policy_loss
from rl.rollout import Batch, Rollout

LOW, HIGH = 0.2, 0.3
OPTIONS = Options(clip_low=LOW, clip_high=HIGH)


def batch(seed=0, rows=8, width=5, per_token=False):
    """Random float64 rows of several lengths, garbage at the padding; sequence ratios on both sides of the clip."""
    generator = torch.Generator().manual_seed(seed)

    def randn(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    lengths = torch.randint(1, width + 1, (rows,), generator=generator)
    mask = (torch.arange(width) < lengths[:, None]).double()
    old = -torch.rand(rows, width, generator=generator, dtype=torch.float64)
    new = (old + 0.3 * randn(rows, width)).where(mask.bool(), torch.tensor(-7.0, dtype=torch.float64))
    advantages = randn(rows, width) if per_token else randn(rows, 1).expand(rows, width)
    rollouts = [Rollout(0, i, [3], [4] * width, [], "eos", "") for i in range(rows)]
    data = Batch(rollouts, mask, mask, old, old, advantages=advantages.clone())
    return new.requires_grad_(), data, Totals(rows, int(mask.sum()), width)


def plain_rows(new, data):
    """(w_i, mean advantage, is the gradient cut, length) of every row, with Python floats."""
    old, advantages, mask = data.old_log_probs, data.advantages, data.mask
    for i in range(len(new)):
        length = int(mask[i].sum())
        ratio = math.exp(sum(new[i, t].item() - old[i, t].item() for t in range(length)))
        mean = sum(advantages[i, t].item() for t in range(length)) / length
        cut = (mean > 0 and ratio > 1 + HIGH) or (mean < 0 and ratio < 1 - LOW)
        yield ratio, mean, cut, length


def loss_and_gradient(new, data, totals):
    loss, metrics = policy_loss(new, data, totals, OPTIONS)
    return loss.item(), torch.autograd.grad(loss, new)[0], metrics


# advantages ------------------------------------------------------------------------------------------------


def test_advantages_equal_a_plain_loop():
    """A baseline that includes the sample itself, or the mean over all prompts."""
    rewards = torch.tensor([[0.0, 0.2, 1.0, 0.3], [0.6, 0.7, 0.6, -1.0]], dtype=torch.float64)
    found = leave_one_out_advantages(rewards)
    for n, row in enumerate(rewards.tolist()):
        for i, reward in enumerate(row):
            others = [r for j, r in enumerate(row) if j != i]
            assert found[n, i].item() == pytest.approx(reward - sum(others) / len(others), abs=1e-14)


def test_advantages_are_centred_rewards_times_g_over_g_minus_one():
    """The known identity A = G/(G-1) (r - mean): what sets RLOO apart from GRPO without a deviation."""
    for size in (2, 3, 8):
        rewards = torch.randn(4, size, generator=torch.Generator().manual_seed(size), dtype=torch.float64)
        centred = rewards - rewards.mean(dim=1, keepdim=True)
        torch.testing.assert_close(
            leave_one_out_advantages(rewards), size / (size - 1) * centred, rtol=1e-12, atol=1e-14
        )


def test_equal_rewards_have_exactly_no_advantage():
    """0.7 eight times: the mean of the others is not 0.7 in floats, and the round-off would be trained on."""
    rewards = torch.full((4, 8), 0.7)
    assert (rewards - (rewards.sum(dim=1, keepdim=True) - rewards) / 7).abs().max() > 0  # the trap is real
    assert (leave_one_out_advantages(rewards) == 0).all()


def test_group_of_one_is_an_error():
    """A division by G - 1 = 0."""
    with pytest.raises(ValueError, match="group-size 1"):
        leave_one_out_advantages(torch.ones(3, 1))


# loss ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_token", [False, True])
def test_loss_equals_a_plain_loop(per_token):
    """A mean over tokens inside the ratio (that is GSPO), a normaliser by tokens, or a clip on the wrong side."""
    for seed in range(5):
        new, data, totals = batch(seed, per_token=per_token)
        rows = list(plain_rows(new, data))
        expected = -sum(min(w * a, min(max(w, 1 - LOW), 1 + HIGH) * a) for w, a, _, _ in rows) / len(rows)
        loss, _, metrics = loss_and_gradient(new, data, totals)
        assert loss == pytest.approx(expected, rel=1e-12)
        cut_low = sum(cut and a < 0 for _, a, cut, _ in rows) / len(rows)
        cut_high = sum(cut and a > 0 for _, a, cut, _ in rows) / len(rows)
        assert (metrics["clip_ratio/low_mean"], metrics["clip_ratio/high_mean"]) == pytest.approx((cut_low, cut_high))
        torch.testing.assert_close(
            metrics["ratio"], torch.tensor([w for w, _, _, _ in rows], dtype=torch.float64), rtol=1e-12, atol=0
        )


def test_gradient_is_autograds_of_the_written_objective():
    """The score detached in the wrong place: the value is right and the gradient is not."""
    seen = set()
    for seed in range(5):
        new, data, totals = batch(seed)
        ratio = torch.exp(((new - data.old_log_probs) * data.mask).sum(dim=1))  # w_i with its gradient, as written
        clipped, advantages = torch.clamp(ratio, 1 - LOW, 1 + HIGH), data.advantages[:, 0]
        objective = torch.minimum(ratio * advantages, clipped * advantages).mean()
        (expected,) = torch.autograd.grad(-objective, new)
        _, found, _ = loss_and_gradient(new, data, totals)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)
        seen |= {(cut, mean > 0) for _, mean, cut, _ in plain_rows(new, data)}
    assert len(seen) == 4  # cut and whole rows of both signs were among them


def test_gradient_of_token_advantages_is_their_own():
    """Per-token credit smeared over the row: token t is to get -w_i A_it / B, and nothing if the row is cut."""
    for seed in range(5):
        new, data, totals = batch(seed, per_token=True)
        _, found, _ = loss_and_gradient(new, data, totals)
        for i, (ratio, _, cut, length) in enumerate(plain_rows(new, data)):
            for t in range(new.shape[1]):
                expected = 0.0 if cut or t >= length else -ratio * data.advantages[i, t].item() / len(new)
                assert found[i, t].item() == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    ("advantage", "ratio", "has_gradient"),
    [(1, 1.5, False), (1, 0.5, True), (-1, 1.5, True), (-1, 0.5, False), (1, 1.0, True), (-1, 1.0, True)],
)
def test_gradient_is_cut_on_the_right_side(advantage, ratio, has_gradient):
    """A bad sequence that may fall without end, or one that can never rise back: the ratio is of the whole row."""
    old = torch.tensor([[-0.5, -1.0]], dtype=torch.float64)
    new = (old + math.log(ratio) / 2).requires_grad_()
    one = torch.ones(1, 2, dtype=torch.float64)
    data = Batch([], one, one, old, old, advantages=advantage * one)
    _, gradient, metrics = loss_and_gradient(new, data, Totals(1, 2, 2))
    expected = -advantage * ratio if has_gradient else 0.0
    assert gradient.tolist() == [pytest.approx([expected, expected])]
    assert metrics["clip_ratio/low_mean"] == (not has_gradient and advantage < 0)
    assert metrics["clip_ratio/high_mean"] == (not has_gradient and advantage > 0)


def test_padding_has_no_influence():
    """Log-ratios of the padding in the sequence's ratio; a row that is masked out giving NaN."""
    new, data, totals = batch()
    mask = data.mask
    mask[3] = 0.0
    loss, gradient, _ = loss_and_gradient(new, data, totals)
    real = mask.bool()
    other = new.detach().where(real, torch.tensor(5.0, dtype=torch.float64)).requires_grad_()
    garbage = {"old_log_probs": data.old_log_probs.where(real, -2.0), "advantages": data.advantages.where(real, 99.0)}
    again, _, _ = loss_and_gradient(other, replace(data, **garbage), totals)
    assert loss == again
    assert math.isfinite(loss)
    assert (gradient[mask == 0] == 0).all()
    assert (gradient[3] == 0).all()


def test_microbatches_add_up():
    """A mean over the microbatch's rows."""
    new, data, totals = batch()
    whole = policy_loss(new, data, totals, Options())[0].item()
    parts = [
        policy_loss(new[i:j], data.rows(list(range(i, j))), totals, Options())[0].item()
        for i, j in ((0, 3), (3, 4), (4, 8))
    ]
    assert whole == pytest.approx(sum(parts), rel=1e-12)


def test_importance_weights_scale_their_rows():
    """Truncated weights left out, or put inside the clip."""
    new, data, totals = batch()
    weights = torch.rand(8, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    _, plain, _ = loss_and_gradient(new, data, totals)
    _, weighted, _ = loss_and_gradient(new, replace(data, weights=weights.expand(8, 5)), totals)
    torch.testing.assert_close(weighted, weights * plain, rtol=1e-12, atol=1e-15)
