"""Would the oracles notice? Each line of MUTATIONS plants one error in the source of an algorithm.

The mutated module is executed apart from the real one, and an oracle must fail on it. The oracles are short: each
recomputes values and gradients token by token with Python floats, by the equations of the papers, on random rows of
several lengths, with ratios on both sides of the clip and advantages that differ from token to token.
"""

import inspect
import math
import statistics
import types
from dataclasses import fields

import pytest
import torch

from rl import critic, grpo, gspo, kl, loss, ppo, reinforce, rloo, sft
from rl.loss import Totals
from rl.rollout import Batch, Rollout

LOW, HIGH, BUDGET = 0.2, 0.3, 9


# what the oracles share ------------------------------------------------------------------------------------


def mutant(module, old, new):
    """The module with `old` replaced by `new` in its source; `old` must stand there exactly once."""
    source = inspect.getsource(module)
    assert source.count(old) == 1, f"{module.__name__} holds {source.count(old)} times: {old}"
    mutated = types.ModuleType(module.__name__ + "_mutated")
    exec(compile(source.replace(old, new), f"{module.__name__} mutated", "exec"), mutated.__dict__)
    return mutated


def batch(seed, rows=6, width=5, spread=0.4):
    """new, old, reference log-probabilities and advantages, (6, 5) float64, with garbage at the padding; lengths.

    A row's advantages have a mean of their own, so that whole sequences are clipped on both sides as well.
    """
    generator = torch.Generator().manual_seed(seed)

    def randn(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    lengths = [1, width, *torch.randint(2, width + 1, (rows - 2,), generator=generator).tolist()]
    old = -1.5 + 0.3 * randn(rows, width)
    new, reference = old + spread * randn(rows, width), old + 0.7 * randn(rows, width)
    advantages = 1.5 * randn(rows, 1) + 0.7 * randn(rows, width)
    for i, length in enumerate(lengths):
        sign = 1 if i % 2 else -1  # the garbage would be clipped, too: above as well as below
        new[i, length:], advantages[i, length:] = -1.5 + 3.0 * sign, 50.0 * sign
    return new.requires_grad_(), old, reference, advantages, lengths


def mask_of(lengths, width=5):
    return torch.tensor([[float(t < length) for t in range(width)] for length in lengths], dtype=torch.float64)


def data_of(old, advantages, lengths, importance=1.0, reference=None, **more):
    """A batch of tensors only."""
    mask = mask_of(lengths)
    weights = torch.full_like(old, importance) if importance != 1 else None
    return Batch([], mask, mask, old, old, weights=weights, ref_log_probs=reference, advantages=advantages, **more)


def totals_of(lengths):
    """Of an optimizer step of which these rows are but one microbatch."""
    return Totals(len(lengths) + 3, sum(lengths) + 11, BUDGET)


def close(found, expected):
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


def check(loss, new, expected_loss, expected_gradient):
    """Value and gradient; gradients are given as {(row, token): number} and are 0 elsewhere."""
    close(loss.item(), expected_loss)
    assert loss.requires_grad
    (gradient,) = torch.autograd.grad(loss, new)
    for i, row in enumerate(gradient.tolist()):
        for t, value in enumerate(row):
            close(value, expected_gradient.get((i, t), 0.0))


def clip(ratio, advantage, low, high):
    """min(r A, clip(r) A), and whether it still has a gradient in r."""
    clipped = min(max(ratio, 1 - low), 1 + high) * advantage
    return min(ratio * advantage, clipped), ratio * advantage <= clipped


def plain_advantages(rewards, kind):
    """From the definitions; `kind` is none, group, batch or rloo."""
    flat, result = [r for row in rewards for r in row], []
    for row in rewards:
        mean = sum(row) / len(row)
        spread = flat if kind == "batch" else row
        centre = sum(spread) / len(spread)
        deviation = math.sqrt(sum((r - centre) ** 2 for r in spread) / (len(spread) - 1))
        for i, reward in enumerate(row):
            if len(set(row)) == 1:
                result.append(0.0)
            elif kind == "rloo":
                result.append(reward - (sum(row) - row[i]) / (len(row) - 1))
            else:
                result.append((reward - mean) / (1.0 if kind == "none" else deviation + 1e-4))
    return result


REWARDS = [[0.0, 0.3, 1.0], [0.7, 0.7, 0.7], [-1.0, 0.5, 0.6]]  # the mean of 0.7 three times is not 0.7 in floats


def check_advantages(function, kind):
    found = function(torch.tensor(REWARDS, dtype=torch.float64)).flatten().tolist()
    close(found, plain_advantages(REWARDS, kind))
    assert found[3:6] == [0.0] * 3  # exactly
    with pytest.raises(ValueError, match="group"):
        function(torch.ones(2, 1))


# the loops -------------------------------------------------------------------------------------------------

LOOP = {"low": 0.03, "high": 0.08, "importance": 1.5}


class FixedCritic:
    """Its values are given, but for where they are moved to."""

    def __init__(self, values):
        self.given, self.bias = values, 1.0

    def __call__(self, *layout):
        return self.given + self.bias

    def center(self, value):
        self.bias += value


class FixedLearner:
    """Stands in for the learner: always the same batch, and of an update it takes the loss only."""

    def __init__(self):
        self.new, old, reference, _, self.lengths = batch(0)
        rewards = (0.0, 0.25, 1.0, 0.5, -1.0, 0.75)
        rollouts = [
            Rollout(i // 3, i % 3, [3], [4] * length, [], "eos", "", reward=reward)
            for i, (length, reward) in enumerate(zip(self.lengths, rewards, strict=True))
        ]
        mask = mask_of(self.lengths)
        loss_mask = mask.clone()
        loss_mask[2] = 0.0  # a truncated row, masked out: its reward still counts in the baseline
        self.batch = Batch(rollouts, mask, loss_mask, old + 9.0, old, torch.full_like(mask, 1.5), reference)
        self.step, self.state, self.critic = 0, {}, FixedCritic(self.new.detach())
        self.settings = types.SimpleNamespace(steps=2)

    def prepare(self, rollouts, sequence_weights=False):
        self.sequence_weights = sequence_weights
        return self.batch

    def values(self, data):
        return data.old_log_probs + self.critic.bias

    def update(self, data, loss, options, *, every_row=False, target_kl=0.0):
        self.every_row, self.target_kl, self.step = every_row, target_kl, self.step + 1
        self.loss, _ = loss(self.new, data, totals_of(self.lengths), options)
        return {}


def loop(module, **options):
    """Two equal steps of the module's `train`; and a function from advantages to what the plain losses take."""
    learner = FixedLearner()
    own = {"clip_low": 0.03, "clip_high": 0.08, "kl_coef": 0.5, "target_kl": 0.7}
    taken = {item.name for item in fields(module.Options)}
    chosen = module.Options(**{name: value for name, value in (own | options).items() if name in taken})
    module.train(learner, lambda step: None, lambda data, metrics: None, chosen)
    counted = [int(row.sum()) for row in learner.batch.loss_mask]

    def inputs(advantages):
        data = learner.batch
        return learner.new, data.old_log_probs, data.ref_log_probs, advantages, counted, totals_of(learner.lengths)

    return learner, inputs


def expected_advantages(kind, data, beta, estimator):
    """Of two groups of three, rewards less beta times the KL of the whole completion: (6, 5)."""
    rewards = []
    for i, rollout in enumerate(data.rollouts):
        tokens = range(len(rollout.completion))
        gaps = [
            plain_kl(estimator, data.old_log_probs[i, t].item(), data.ref_log_probs[i, t].item())[0] for t in tokens
        ]
        rewards.append(rollout.reward - beta * sum(gaps))
    advantages = plain_advantages([rewards[:3], rewards[3:]], kind)
    return torch.tensor(advantages, dtype=torch.float64)[:, None].expand(6, 5)


# the oracles -----------------------------------------------------------------------------------------------


def weight_of(normalizer_name, length, totals):
    """What one token's term is multiplied by."""
    return {
        "sequence-mean": 1 / length / totals.rows,
        "token-mean": 1 / totals.tokens,
        "constant": 1 / (totals.rows * totals.budget),
    }[normalizer_name]


def plain_kl(estimator, log_prob, reference):
    """The estimate, and its derivative in log_prob."""
    log_r = reference - log_prob
    return {
        "k1": (-log_r, 1.0),
        "k2": (log_r**2 / 2, -log_r),
        "k3": (math.exp(log_r) - 1 - log_r, 1 - math.exp(log_r)),
    }[estimator]


def plain_grpo(new, old, reference, advantages, lengths, totals, name, **options):
    """Loss and gradient of GRPO, and with "token-mean" of PPO's policy, and how many tokens each clip has cut."""
    low, high, beta, weighted, importance = read(options)
    value, gradient, cut = 0.0, {}, {"low": 0, "high": 0, "none": 0}
    for i, length in enumerate(lengths):
        for t in range(length):
            share = weight_of(name, length, totals)
            ratio, advantage = math.exp((new[i, t] - old[i, t]).item()), advantages[i, t].item()
            best, whole = clip(ratio, advantage, low, high)
            penalty, slope = plain_kl("k3", new[i, t].item(), reference[i, t].item())
            if weighted:
                penalty, slope = ratio * penalty, ratio * (penalty + slope)
            value += share * (beta * penalty - importance * best)
            gradient[i, t] = share * (beta * slope - importance * (ratio * advantage if whole else 0.0))
            cut["none" if whole else "low" if advantage < 0 else "high"] += 1
    return value, gradient, cut


def plain_gspo(new, old, reference, advantages, lengths, totals, level, **options):
    """Loss and gradient of GSPO, and how many tokens each clip has cut; the token's own ratio appears nowhere."""
    low, high, beta, _, importance = read(options)
    value, gradient, cut = 0.0, {}, {"low": 0, "high": 0, "none": 0}
    for i, length in enumerate(lengths):
        ratio = math.exp(sum((new[i, t] - old[i, t]).item() for t in range(length)) / max(1, length))
        for t in range(length):
            share, advantage = 1 / length / totals.rows, advantages[i, t].item()
            if level == "sequence":
                advantage = sum(advantages[i, :length].tolist()) / length
            best, whole = clip(ratio, advantage, low, high)
            penalty, slope = plain_kl("k3", new[i, t].item(), reference[i, t].item())
            value += share * (beta * penalty - importance * best)
            gradient[i, t] = share * (beta * slope - importance * (ratio * advantage if whole else 0.0))
            cut["none" if whole else "low" if advantage < 0 else "high"] += 1
    return value, gradient, cut


def plain_rloo(new, old, advantages, lengths, totals, **options):
    """Loss and gradient of RLOO, and how many rows each clip has cut."""
    low, high, _, _, importance = read(options)
    value, gradient, cut = 0.0, {}, {"low": 0, "high": 0, "none": 0}
    for i, length in enumerate(lengths):
        ratio = math.exp(sum((new[i, t] - old[i, t]).item() for t in range(length)))
        mean = sum(advantages[i, :length].tolist()) / max(1, length)
        best, whole = clip(ratio, mean, low, high)
        value -= importance * best / totals.rows
        for t in range(length):
            gradient[i, t] = -importance * ratio * advantages[i, t].item() / totals.rows if whole else 0.0
        cut["none" if whole else "low" if mean < 0 else "high"] += 1
    return value, gradient, cut


def read(options):
    known = {"low": LOW, "high": HIGH, "beta": 0.0, "weighted": False, "importance": 1.0}
    assert options.keys() <= known.keys()
    return (known | options).values()


def grpo_oracle(module):
    for scale in ("none", "group", "batch"):
        check_advantages(lambda rewards, scale=scale: module.group_advantages(rewards, scale)[0], scale)
        divided, divisor = module.group_advantages(torch.tensor(REWARDS), scale)
        centred = module.group_advantages(torch.tensor(REWARDS), "none")[0]
        assert (divided * divisor).flatten().tolist() == pytest.approx(centred.flatten().tolist(), abs=1e-6)
    for seed, name in enumerate(("sequence-mean", "token-mean", "constant", "sequence-mean")):
        beta, weighted, importance = (0.0, 0.3, 0.3, 0.3)[seed], seed == 3, 1.5 if seed == 1 else 1.0
        new, old, reference, advantages, lengths = batch(seed)
        totals = totals_of(lengths)
        value, gradient, cut = plain_grpo(
            new, old, reference, advantages, lengths, totals, name, beta=beta, weighted=weighted, importance=importance
        )
        data = data_of(old, advantages, lengths, importance, reference)
        options = module.Options(LOW, HIGH, loss_normalizer=name, kl_coef=beta, kl_weighted=weighted)
        found, metrics = module.policy_loss(new, data, totals, options)
        check(found, new, value, gradient)
        without_kl = plain_grpo(new, old, reference, advantages, lengths, totals, name, importance=importance)
        close(metrics["policy_loss"], without_kl[0])
        close(metrics["clip_ratio/low_mean"], cut["low"] / totals.tokens)
        close(metrics["clip_ratio/high_mean"], cut["high"] / totals.tokens)
        assert seed > 0 or min(cut.values()) > 0
    for place in ("reward", "loss"):
        learner, expected = loop(module, kl_in=place, kl_estimator="k3", scale_rewards="group", kl_weighted=True)
        advantages = expected_advantages("group", learner.batch, beta=0.5 if place == "reward" else 0.0, estimator="k3")
        value, gradient, _ = plain_grpo(
            *expected(advantages), "sequence-mean", beta=0.5 if place == "loss" else 0.0, weighted=True, **LOOP
        )
        check(learner.loss, learner.new, value, gradient)
        assert learner.every_row == (place == "loss")


def gspo_oracle(module):
    for level in ("sequence", "token"):
        total = {"low": 0, "high": 0, "none": 0}
        for seed in range(4):
            new, old, reference, advantages, lengths = batch(seed)
            if seed == 3:
                advantages = advantages[:, :1].expand_as(advantages)  # one for the whole row
            totals, beta, importance = totals_of(lengths), 0.2 if seed == 1 else 0.0, 1.5 if seed == 2 else 1.0
            value, gradient, cut = plain_gspo(
                new, old, reference, advantages, lengths, totals, level, low=0.05, beta=beta, importance=importance
            )
            data = data_of(old, advantages, lengths, importance, reference)
            options = module.Options(0.05, HIGH, ratio_level=level, kl_coef=beta)
            found, metrics = module.policy_loss(new, data, totals, options)
            check(found, new, value, gradient)
            total = {side: total[side] + cut[side] for side in total}
        assert min(total.values()) > 0
    for place in ("reward", "loss"):
        learner, expected = loop(module, kl_in=place, kl_estimator="k3", ratio_level="token")
        advantages = expected_advantages("group", learner.batch, beta=0.5 if place == "reward" else 0.0, estimator="k3")
        value, gradient, _ = plain_gspo(*expected(advantages), "token", beta=0.5 if place == "loss" else 0.0, **LOOP)
        check(learner.loss, learner.new, value, gradient)
        assert learner.every_row == (place == "loss")
    # The published range (section 5.1), which is also the default.
    assert (module.Options().clip_low, module.Options().clip_high) == (3e-4, 4e-4)


def rloo_oracle(module):
    check_advantages(module.leave_one_out_advantages, "rloo")
    total = {"low": 0, "high": 0, "none": 0}
    for seed in range(5):
        new, old, _, advantages, lengths = batch(seed, spread=0.2)
        totals, importance = totals_of(lengths), 1.5 if seed == 2 else 1.0
        value, gradient, cut = plain_rloo(new, old, advantages, lengths, totals, importance=importance)
        data = data_of(old, advantages, lengths, importance)
        found, metrics = module.policy_loss(new, data, totals, module.Options(LOW, HIGH))
        check(found, new, value, gradient)
        close(metrics["clip_ratio/low_mean"], cut["low"] / totals.rows)
        close(metrics["clip_ratio/high_mean"], cut["high"] / totals.rows)
        total = {side: total[side] + cut[side] for side in total}
    assert min(total.values()) > 0
    learner, expected = loop(module, kl_estimator="k1")
    advantages = expected_advantages("rloo", learner.batch, beta=0.5, estimator="k1")
    new, old, _, *rest = expected(advantages)
    check(learner.loss, learner.new, *plain_rloo(new, old, *rest, **LOOP)[:2])
    assert learner.sequence_weights


def ppo_oracle(module):
    for seed in range(3):
        new, old, returns, rewards, lengths = batch(seed)
        mask, totals = mask_of(lengths), totals_of(lengths)
        real = [(i, t) for i, length in enumerate(lengths) for t in range(length)]

        # generalized advantages, as the sum over later deltas
        gamma, gae_lambda = 0.9, 0.8
        advantages, targets = module.generalized_advantages(rewards, old, mask, gamma, gae_lambda)
        for i, length in enumerate(lengths):
            row = [*old[i, :length].tolist(), 0.0]
            deltas = [rewards[i, t].item() + gamma * row[t + 1] - row[t] for t in range(length)]
            for t in range(old.shape[1]):
                expected = sum((gamma * gae_lambda) ** (k - t) * deltas[k] for k in range(t, length))
                close(advantages[i, t].item(), expected)
                close(targets[i, t].item(), expected + row[t] if t < length else 0.0)

        # whitening
        numbers = [rewards[i, t].item() for i, t in real]
        mean = sum(numbers) / len(numbers)
        deviation = math.sqrt(sum((x - mean) ** 2 for x in numbers) / (len(numbers) - 1))
        white = module.whiten(rewards, mask)
        for i, t in real:
            assert white[i, t].item() == pytest.approx((rewards[i, t].item() - mean) / deviation, rel=1e-6)
        assert (white[mask == 0] == 0).all()

        # value loss: `new` are the values, `old` the old ones
        value, gradient, cut = 0.0, {}, 0
        for i, t in real:
            v, before, target = new[i, t].item(), old[i, t].item(), returns[i, t].item()
            clipped = min(max(v, before - 0.3), before + 0.3)
            plain_is_larger = (v - target) ** 2 >= (clipped - target) ** 2
            value += max((v - target) ** 2, (clipped - target) ** 2) / 2 / totals.tokens
            gradient[i, t] = (v - target) / totals.tokens if plain_is_larger else 0.0
            cut += not plain_is_larger
        assert cut > 0
        data = data_of(old, rewards, lengths, values=old, returns=returns)
        found, metrics = module.value_loss(new, data, totals, 0.3)
        check(found, new, value, gradient)
        close(metrics["value_clip_ratio"], cut / totals.tokens)

        # policy loss: a mean over all tokens
        value, gradient, _ = plain_grpo(new, old, old, rewards, lengths, totals, "token-mean")
        found, _ = module.policy_loss(new, data, totals, module.Options(LOW, HIGH))
        check(found, new, value, gradient)

    # the loop: gamma = lambda = 1, so an advantage is the reward to go without the value
    for place in ("reward", "loss"):
        learner, expected = loop(
            module, kl_in=place, kl_estimator="k3", whiten=False, gae_lambda=1.0, value_coef=2.0, value_clip=0.3
        )
        data, value_errors, totals_to_go = learner.batch, 0.0, []
        old_values, values = learner.values(data), learner.critic()
        advantages = torch.zeros_like(data.mask)
        for i, rollout in enumerate(data.rollouts):
            length = len(rollout.completion)
            for t in range(length):
                to_go = rollout.reward
                if place == "reward":
                    to_go -= 0.5 * sum(
                        plain_kl("k3", data.old_log_probs[i, k].item(), data.ref_log_probs[i, k].item())[0]
                        for k in range(t, length)
                    )
                if t == 0:
                    totals_to_go.append(to_go)
                advantages[i, t] = to_go - old_values[i, t]
                v, before = values[i, t].item(), old_values[i, t].item()
                clipped = min(max(v, before - 0.3), before + 0.3)
                value_errors += max((v - to_go) ** 2, (clipped - to_go) ** 2) / 2 * data.loss_mask[i, t].item()
        inputs = expected(advantages)
        value, gradient, _ = plain_grpo(*inputs, "token-mean", beta=0.5 if place == "loss" else 0.0, **LOOP)
        check(learner.loss, learner.new, value + 2.0 * value_errors / inputs[-1].tokens, gradient)
        assert learner.every_row
        assert learner.target_kl == 0.7
        close(learner.critic.bias, 1.0 + sum(totals_to_go) / 6)


def critic_oracle(module):
    _, values, returns, _, lengths = batch(0)
    real = [(i, t) for i, length in enumerate(lengths) for t in range(length)]
    errors = [(returns[i, t] - values[i, t]).item() for i, t in real]
    explained = 1 - statistics.variance(errors) / statistics.variance(returns[i, t].item() for i, t in real)
    mask = mask_of(lengths)
    values, returns = values.where(mask.bool(), 40.0), returns.where(mask.bool(), -7.0)  # garbage at the padding
    close(module.explained_variance(values, returns, mask), explained)
    assert module.explained_variance(values, torch.full_like(values, 0.7) + 1e-9 * returns, mask) is None


def kl_oracle(module):
    for seed in range(2):
        new, old, reference, _, lengths = batch(seed)
        for estimator in ("k1", "k2", "k3"):
            for weighted in (False, True):
                options = grpo.Options(kl_coef=0.1, kl_estimator=estimator, kl_weighted=weighted)
                if estimator == "k1" and not weighted:
                    with pytest.raises(ValueError, match="expected gradient is zero"):
                        module.check(options)
                    continue
                module.check(options)
                value, gradient = 0.0, {}
                for i in range(new.shape[0]):
                    for t in range(new.shape[1]):
                        penalty, slope = plain_kl(estimator, new[i, t].item(), reference[i, t].item())
                        ratio = math.exp((new[i, t] - old[i, t]).item())
                        value += ratio * penalty if weighted else penalty
                        gradient[i, t] = ratio * (penalty + slope) if weighted else slope
                data = data_of(old, None, lengths, reference=reference)
                check(module.in_loss(new, data, options).sum(), new, value, gradient)
            rewarded = data_of(new, None, lengths, reference=reference)
            penalty, metrics = module.in_reward(rewarded, estimator)
            assert not penalty.requires_grad
            total = 0.0
            for i, length in enumerate(lengths):
                for t in range(new.shape[1]):
                    expected = plain_kl(estimator, new[i, t].item(), reference[i, t].item())[0] if t < length else 0.0
                    close(penalty[i, t].item(), expected)
                    total += expected
            close(metrics["kl"], total / sum(lengths))
            rewarded.rollouts = [Rollout(i // 3, i % 3, [3], [4], [], "eos", "", reward=i / 4) for i in range(6)]
            found, _ = module.penalized_rewards(rewarded, estimator, 0.5)
            rows = [i / 4 - 0.5 * penalty[i].sum().item() for i in range(6)]
            close(found.flatten().tolist(), rows)
            assert found.shape == (2, 3)
    for value, error in ((6.6, 0.1), (5.4, -0.1), (60.0, 0.2), (-6.0, -0.2)):
        close(module.adapt_coefficient(0.1, value, 6.0, 64, 1000), 0.1 * (1 + error * 64 / 1000))


def sft_oracle(module):
    new, _, _, _, lengths = batch(0)
    real = [(i, t) for i, length in enumerate(lengths) for t in range(length)]
    tokens = totals_of(lengths).tokens
    found, _ = module.completion_loss(new, data_of(new, None, lengths), totals_of(lengths), module.Options())
    check(found, new, -sum(new[i, t].item() for i, t in real) / tokens, dict.fromkeys(real, -1 / tokens))
    learner, expected = loop(module)
    new, _, _, _, lengths, totals = expected(torch.zeros_like(learner.batch.mask))
    real = [(i, t) for i, length in enumerate(lengths) for t in range(length)]
    value = -sum(new[i, t].item() for i, t in real) / totals.tokens
    check(learner.loss, learner.new, value, dict.fromkeys(real, -1 / totals.tokens))
    assert learner.every_row


def reinforce_oracle(module):
    learner, expected = loop(module)
    rewards = [rollout.reward for rollout in learner.batch.rollouts]
    advantages = [reward - sum(rewards) / 6 for reward in rewards]
    new, _, _, _, lengths, totals = expected(None)
    value, gradient = 0.0, {}
    for i, length in enumerate(lengths):
        for t in range(length):
            gradient[i, t] = -1.5 * advantages[i] / totals.rows  # 1.5: the importance weight
            value += gradient[i, t] * new[i, t].item()
    check(learner.loss, learner.new, value, gradient)
    assert learner.sequence_weights
    assert not learner.every_row
    with pytest.raises(ValueError, match="one optimizer step"):
        module.Options().check(types.SimpleNamespace(minibatches=1, epochs=2))


def loss_oracle(module):
    """What the algorithms share: the clipped loss, and what they all divide by."""
    for seed, name in enumerate(module.NORMALIZERS):
        new, old, reference, advantages, lengths = batch(seed)
        totals, importance = totals_of(lengths), 1.5 if seed == 1 else 1.0
        value, gradient, cut = plain_grpo(new, old, reference, advantages, lengths, totals, name, importance=importance)
        data = data_of(old, advantages, lengths, importance)
        found, metrics = module.clipped_loss(new, data, totals, LOW, HIGH, name)
        check(found, new, value, gradient)
        close(metrics["policy_loss"], value)
        for side in ("low", "high"):
            close(metrics[f"clip_ratio/{side}_mean"], cut[side] / totals.tokens)
        close(metrics["clip_ratio/region_mean"], (cut["low"] + cut["high"]) / totals.tokens)
        assert seed > 0 or min(cut.values()) > 0
    new, _, _, _, lengths = batch(0)
    lengths = [*lengths[:-1], 0]  # the last row is masked out, and still counts as a row
    for name in module.NORMALIZERS:
        value, gradient = 0.0, {}
        for i, length in enumerate(lengths):
            for t in range(length):
                gradient[i, t] = weight_of(name, length, totals_of(lengths))
                value += gradient[i, t] * new[i, t].item()
        check(module.normalize(new, mask_of(lengths), totals_of(lengths), name), new, value, gradient)


ORACLES = {
    grpo: grpo_oracle,
    gspo: gspo_oracle,
    rloo: rloo_oracle,
    reinforce: reinforce_oracle,
    ppo: ppo_oracle,
    critic: critic_oracle,
    kl: kl_oracle,
    sft: sft_oracle,
    loss: loss_oracle,
}

# What an oracle raises when numbers differ, or a ValueError fails to come. A mutant that merely crashes is no proof.
NOTICED = (AssertionError, pytest.fail.Exception)

# module, a piece of its source that stands there once, what is put in its place
MINIMUM = "torch.minimum(ratio * advantages, clipped * advantages)"
RATIO = "torch.exp(log_probs - batch.old_log_probs)"
CLAMP = "ratio.clamp(1 - low, 1 + high)"
LOW_HIGH, HIGH_LOW = "options.clip_low, options.clip_high", "options.clip_high, options.clip_low"
KL_SHARE = "normalize(penalty, batch.loss_mask, totals, options.loss_normalizer)"
SQUARES = "(torch.maximum(plain_error, clipped_error) * batch.loss_mask)"
KL_IN_LOSS = "estimate(options.kl_estimator, log_probs, batch.ref_log_probs)"
KL_TERM = "loss = loss + options.kl_coef * normalize(penalty"
LOG_S = "row_mean(log_probs - batch.old_log_probs, mask)[:, None]"
LOG_S_IT = "log_ratio.detach() + log_probs - log_probs.detach()"
MEAN_A = "row_mean(advantages, mask)[:, None]"
LOG_W = "(log_probs - batch.old_log_probs).detach() * mask"
SCORE = "(batch.advantages * (log_probs - log_probs.detach()) * mask)"
CLIPPED_VALUES = "torch.clamp(values, batch.values - value_clip, batch.values + value_clip)"
NEXT_VALUE = "values[:, t + 1] if t + 1 < values.shape[1] else 0.0"
EXPLAINED = "1 - (returns - values).var() / returns.var()"
MUTATIONS = [
    # the clipped loss of GRPO and PPO
    (loss, "per_token = -torch.minimum", "per_token = torch.minimum"),
    (loss, MINIMUM, MINIMUM.replace("minimum", "maximum")),
    (loss, MINIMUM, "clipped * advantages"),
    (loss, MINIMUM, "ratio * advantages"),
    (loss, MINIMUM, "(torch.minimum(ratio, clipped) * advantages)"),
    (loss, CLAMP, "ratio.clamp(1 - high, 1 + low)"),
    (loss, CLAMP, "ratio.clamp(min=1 - low)"),
    (loss, CLAMP, "ratio.clamp(max=1 + high)"),
    (loss, RATIO, "torch.exp(batch.old_log_probs - log_probs)"),
    (loss, RATIO, RATIO + ".detach()"),
    (loss, RATIO, "torch.exp(log_probs - log_probs.detach())"),
    (loss, RATIO, "(1 + log_probs - batch.old_log_probs)"),
    (loss, "normalize(per_token, mask, totals, normalizer)", "normalize(per_token, mask, totals, 'token-mean')"),
    (loss, "normalize(per_token, mask, totals, normalizer)", "per_token.mean()"),
    (loss, "(ratio < 1 - low) & (advantages < 0)", "(ratio < 1 - low) & (advantages > 0)"),
    (loss, "(advantages > 0) & mask.bool()", "(advantages > 0)"),
    (loss, "(too_low | too_high).sum()", "(too_low & too_high).sum()"),
    (loss, "per_token = per_token * batch.weights", "per_token = per_token"),
    # what they all divide by
    (loss, ".sum() / totals.rows", ".mean()"),
    (loss, "/ lengths.where(lengths > 0, 1)", "/ lengths"),
    (loss, "(per_token * mask).sum(dim=1) /", "per_token.sum(dim=1) /"),
    (loss, "(per_token * mask).sum() / totals.tokens", "(per_token * mask).sum() / mask.numel()"),
    (loss, "(totals.rows * totals.budget)", "(totals.rows * mask.shape[1])"),
    (loss, "lengths = mask.sum(dim=1)", "lengths = mask.sum(dim=1).max()"),
    # GRPO
    (grpo, LOW_HIGH, HIGH_LOW),
    (grpo, "options.clip_high, options.loss_normalizer)", "options.clip_high, 'token-mean')"),
    (grpo, KL_TERM, KL_TERM.replace("loss +", "loss -")),
    (grpo, KL_TERM, KL_TERM + ".detach()"),
    (grpo, KL_SHARE, "(penalty * batch.loss_mask).sum() / totals.tokens"),
    (grpo, "normalize(penalty, batch.loss_mask", "normalize(penalty, batch.mask"),
    (grpo, "kl.in_loss(log_probs, batch, options)", "kl.in_loss(log_probs.detach(), batch, options)"),
    (grpo, 'options.kl_coef and options.kl_in == "loss"', "options.kl_coef"),
    (grpo, "rewards - rewards.mean(dim=1, keepdim=True)", "rewards - rewards.mean()"),
    (grpo, "rewards - rewards.mean(dim=1, keepdim=True)", "rewards.mean(dim=1, keepdim=True) - rewards"),
    (grpo, "rewards.std(dim=1, keepdim=True)", "rewards.std(dim=1, keepdim=True, correction=0)"),
    (grpo, "rewards.std(dim=1, keepdim=True)", "rewards.var(dim=1, keepdim=True)"),
    (grpo, "(rewards.std() + 1e-4)", "(rewards.std(dim=1, keepdim=True) + 1e-4)"),
    (grpo, "torch.where(spread, centered / divisor, 0.0)", "centered / divisor"),
    (grpo, "0.0), divisor", "0.0), divisor * 2"),
    (grpo, "beta = 0.0 if in_loss else options.kl_coef", "beta = options.kl_coef"),
    (grpo, "beta = 0.0 if in_loss else options.kl_coef", "beta = 0.0"),
    (grpo, "beta = 0.0 if in_loss else options.kl_coef", "beta = 0.0 if in_loss else -options.kl_coef"),
    (grpo, "every_row=in_loss", "every_row=False"),
    (grpo, "token_advantages(advantages, scale, batch)", "token_advantages(rewards, scale, batch)"),
    # GSPO
    (gspo, "per_token = -torch.minimum", "per_token = torch.minimum"),
    (gspo, MINIMUM, MINIMUM.replace("minimum", "maximum")),
    (gspo, MINIMUM, "(clipped * advantages)"),
    (gspo, "ratio.clamp(low, high)", "ratio.clamp(2 - high, 2 - low)"),
    (gspo, LOG_S, "row_mean(batch.old_log_probs - log_probs, mask)[:, None]"),
    (gspo, LOG_S, "row_mean(log_probs - batch.old_log_probs, torch.ones_like(mask))[:, None]"),
    (gspo, LOG_S, "(log_probs - batch.old_log_probs) * mask"),
    (gspo, LOG_S, "((log_probs - batch.old_log_probs) * mask).sum(dim=1, keepdim=True)"),
    (gspo, LOG_S, "((log_probs - batch.old_log_probs) * mask).mean(dim=1, keepdim=True)"),
    (gspo, MEAN_A, "advantages[:, :1]"),
    (gspo, MEAN_A, "advantages.mean(dim=1, keepdim=True)"),
    (gspo, "loss = row_mean(per_token, mask).sum() / totals.rows", "loss = (per_token * mask).sum() / totals.tokens"),
    (gspo, "option(3e-4,", "option(4e-4,"),
    (gspo, "per_token = per_token * batch.weights", "per_token = per_token"),
    (gspo, KL_TERM, KL_TERM.replace("loss +", "loss -")),
    (gspo, 'options.kl_coef and options.kl_in == "loss"', "options.kl_coef"),
    (gspo, "1 + options.clip_high", "1 + options.clip_low"),
    (gspo, "batch.loss_mask, 1 -", "batch.mask, 1 -"),
    (gspo, "beta = 0.0 if in_loss else options.kl_coef", "beta = -options.kl_coef"),
    (gspo, "every_row=in_loss", "every_row=False"),
    # GSPO-token
    (gspo, LOG_S_IT, "log_ratio + log_probs - log_probs.detach()"),
    (gspo, LOG_S_IT, "log_ratio.detach() + log_probs - batch.old_log_probs"),
    (gspo, LOG_S_IT, "log_ratio.detach() - log_probs + log_probs.detach()"),
    (gspo, LOG_S_IT, "log_ratio.expand_as(mask)"),
    (gspo, LOG_S_IT, "log_probs - log_probs.detach()"),
    # RLOO
    (rloo, "loss = -surrogate.sum()", "loss = surrogate.sum()"),
    (rloo, "surrogate.sum() / totals.rows", "surrogate.sum() / totals.tokens"),
    (rloo, LOG_W, "(batch.old_log_probs - log_probs).detach() * mask"),
    (rloo, LOG_W, "(log_probs - batch.old_log_probs).detach()"),
    (rloo, LOG_W, "(log_probs - batch.old_log_probs) * mask"),
    (rloo, "detach() * mask).sum(dim=1))  # w_i", "detach() * mask).sum(dim=1) / mask.sum(dim=1))  # w_i"),
    (rloo, SCORE, "(batch.advantages * (log_probs - log_probs.detach()))"),
    (rloo, SCORE, "(mean[:, None] * (log_probs - log_probs.detach()) * mask)"),
    (rloo, SCORE, "(batch.advantages * (log_probs - batch.old_log_probs) * mask)"),
    (rloo, "row_mean(batch.advantages, mask)", "batch.advantages[:, 0]"),
    (rloo, "(ratio < low) & (mean < 0)", "(ratio < low) & (mean > 0)"),
    (rloo, "(ratio > high) & (mean > 0)", "(ratio > high)"),
    (rloo, "too_low | too_high, clipped", "too_low, clipped"),
    (rloo, "torch.where(too_low | too_high, clipped, ratio * (mean + score))", "ratio * (mean + score)"),
    (rloo, "ratio.clamp(low, high)", "ratio.clamp(2 - high, 2 - low)"),
    (rloo, "ratio * (mean + score)", "ratio * mean + score"),
    (rloo, "surrogate = surrogate * batch.weights[:, 0]", "pass"),
    (rloo, "/ (group_size - 1)", "/ group_size"),
    (rloo, "rewards.sum(dim=1, keepdim=True) - rewards)", "rewards.sum(dim=1, keepdim=True))"),
    (rloo, "torch.where(spread, rewards - others, 0.0)", "torch.where(spread, others - rewards, 0.0)"),
    (rloo, "torch.where(spread, rewards - others, 0.0)", "rewards - others"),
    (rloo, "1 + options.clip_high", "1 + options.clip_low"),
    (rloo, "options.kl_estimator, options.kl_coef)", "options.kl_estimator, -options.kl_coef)"),
    (rloo, "batch.loss_mask, 1 -", "batch.mask, 1 -"),
    (rloo, "sequence_weights=True", "sequence_weights=False"),
    # REINFORCE
    (reinforce, "per_token = -batch.advantages", "per_token = batch.advantages"),
    (reinforce, "log_probs * batch.loss_mask", "log_probs"),
    (reinforce, "log_probs * batch.loss_mask", "log_probs * batch.mask"),
    (reinforce, "per_token.sum() / totals.rows", "per_token.sum() / totals.tokens"),
    (reinforce, "per_token = per_token * batch.weights", "per_token = per_token"),
    (reinforce, "rewards - rewards.mean()", "rewards - rewards.mean(dim=1, keepdim=True)"),
    (reinforce, "rewards - rewards.mean()", "rewards.mean() - rewards"),
    (reinforce, "rewards - rewards.mean()", "rewards"),
    (reinforce, "sequence_weights=True", "sequence_weights=False"),
    (reinforce, "run.minibatches * run.epochs > 1", "run.minibatches > 1"),
    # PPO: advantages, the critic's loss, and which policy loss it takes
    (ppo, NEXT_VALUE, "values[:, t]"),
    (ppo, NEXT_VALUE, "values[:, min(t + 1, values.shape[1] - 1)]"),
    (ppo, "gamma * next_value - values[:, t]", "gamma * next_value + values[:, t]"),
    (ppo, "gamma * next_value - values[:, t]", "next_value - values[:, t]"),
    (ppo, "delta + gamma * gae_lambda * later", "delta + gae_lambda * later"),
    (ppo, "delta + gamma * gae_lambda * later", "delta + gamma * later"),
    (ppo, "delta + gamma * gae_lambda * later", "delta"),
    (ppo, "in reversed(range(values.shape[1]))", "in range(values.shape[1])"),
    (ppo, "rewards, values = rewards * mask, values * mask", "values = values * mask"),
    (ppo, "rewards, values = rewards * mask, values * mask", "rewards = rewards * mask"),
    (ppo, "return advantages, advantages + values", "return advantages, advantages"),
    (ppo, "real = advantages[mask.bool()]", "real = advantages.flatten()"),
    (ppo, "(real.std() + 1e-8) * mask", "(real.std() + 1e-8)"),
    (ppo, "(real.std() + 1e-8)", "(real.var() + 1e-8)"),
    (ppo, "(advantages - real.mean()) /", "advantages /"),
    (ppo, "torch.maximum(plain_error, clipped_error)", "torch.minimum(plain_error, clipped_error)"),
    (ppo, "torch.maximum(plain_error, clipped_error)", "clipped_error"),
    (ppo, "torch.maximum(plain_error, clipped_error)", "plain_error"),
    (ppo, CLIPPED_VALUES, "torch.clamp(values, -value_clip, value_clip)"),
    (ppo, CLIPPED_VALUES, "torch.clamp(values, batch.returns - value_clip, batch.returns + value_clip)"),
    (ppo, SQUARES, "torch.maximum(plain_error, clipped_error)"),
    (ppo, SQUARES, "(torch.maximum(plain_error, clipped_error) * batch.mask)"),
    (ppo, "loss = 0.5 * ", "loss = "),
    (ppo, "batch.loss_mask).sum() / totals.tokens\n", "batch.loss_mask).sum() / totals.rows\n"),
    (ppo, "(clipped_error > plain_error)", "(clipped_error < plain_error)"),
    (ppo, 'options.clip_high, "token-mean")', 'options.clip_high, "sequence-mean")'),
    (ppo, LOW_HIGH, HIGH_LOW),
    (ppo, KL_TERM, KL_TERM.replace("loss +", "loss -")),
    (ppo, "policy + options.value_coef * value", "policy - options.value_coef * value"),
    (ppo, "rewards - beta * penalty", "rewards + beta * penalty"),
    (ppo, 'batch.loss_mask, totals, "token-mean")', 'batch.loss_mask, totals, "sequence-mean")'),
    (ppo, "(values - batch.returns) ** 2", "(values - batch.values) ** 2"),
    (ppo, "every_row=True", "every_row=False"),
    (ppo, "target_kl=options.target_kl", "target_kl=0.0"),
    (ppo, "learner.step == 0", "True"),
    (ppo, "center(float(rewards.sum(dim=1).mean()))", "center(float(rewards.mean()))"),
    (ppo, 'not options.kl_coef or options.kl_in != "reward"', "not options.kl_coef"),
    (critic, EXPLAINED, "(returns - values).var() / returns.var()"),
    (critic, EXPLAINED, "1 - (returns - values).var() / values.var()"),
    (critic, EXPLAINED, "1 - (returns - values).square().mean() / returns.var()"),
    (critic, "values[mask.bool()], returns[mask.bool()]", "values * mask, returns * mask"),
    (critic, "<= 1e-5 *", "< 0 *"),
    # KL
    (kl, "ref_log_probs - log_probs  # (B, T)", "log_probs - ref_log_probs  # (B, T)"),
    (kl, "return -log_r", "return log_r"),
    (kl, "log_r**2 / 2", "log_r**2"),
    (kl, "log_r**2 / 2", "log_r.abs()"),
    (kl, "torch.expm1(log_r) - log_r", "torch.exp(log_r) - log_r"),
    (kl, "torch.expm1(log_r) - log_r", "torch.expm1(log_r) + log_r"),
    (kl, "torch.expm1(log_r) - log_r", "torch.expm1(-log_r) + log_r"),
    (kl, "torch.expm1(log_r) - log_r", "torch.expm1(log_r)"),
    (kl, RATIO, "torch.exp(batch.old_log_probs - log_probs)"),
    (kl, RATIO, RATIO + ".detach()"),
    (kl, "penalty * torch.exp", "penalty.detach() * torch.exp"),
    (kl, '"k1" and not options.kl_weighted', '"k1" and options.kl_weighted'),
    (kl, KL_IN_LOSS, "estimate(options.kl_estimator, batch.ref_log_probs, log_probs)"),
    (kl, KL_IN_LOSS, "estimate(options.kl_estimator, log_probs, batch.old_log_probs)"),
    (kl, "ref_log_probs).detach() * batch.mask", "ref_log_probs) * batch.mask"),
    (kl, "ref_log_probs).detach() * batch.mask", "ref_log_probs).detach()"),
    (kl, "penalty.sum() / batch.mask.sum()", "penalty.mean()"),
    (kl, "rewards - coefficient * penalty", "rewards + coefficient * penalty"),
    (kl, "penalty.sum(dim=1).view_as(rewards)", "penalty.mean(dim=1).view_as(rewards)"),
    (kl, "kl / target - 1.0", "1.0 - kl / target"),
    (kl, "kl / target - 1.0", "target / kl - 1.0"),
    (kl, "-0.2), 0.2)", "-0.2), 1.0)"),
    (kl, "error * sequences / horizon", "error"),
    # SFT
    (sft, "normalize(-log_probs", "normalize(log_probs"),
    (sft, '"token-mean")', '"sequence-mean")'),
    (sft, '"token-mean")', '"constant")'),
    (sft, "normalize(-log_probs, batch.loss_mask", "normalize(-log_probs, torch.ones_like(batch.mask)"),
    (sft, "normalize(-log_probs, batch.loss_mask", "normalize(-log_probs[:, :-1], batch.loss_mask[:, 1:]"),
    (sft, "normalize(-log_probs, batch.loss_mask", "normalize(-log_probs[:, 1:], batch.loss_mask[:, 1:]"),
    (sft, "normalize(-log_probs, batch.loss_mask", "normalize(-log_probs, batch.mask"),
    (sft, "every_row=True", "every_row=False"),
]


@pytest.mark.parametrize("module", ORACLES, ids=lambda module: module.__name__)
def test_the_oracle_passes_on_the_code_as_it_is(module):
    """An oracle that fails on everything catches every mutation and proves nothing."""
    ORACLES[module](module)
    first_line = inspect.getsource(module).splitlines()[0]
    ORACLES[module](mutant(module, first_line, first_line))  # nor does it matter where the code is executed


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")  # what one of the mutants does
@pytest.mark.parametrize(
    ("module", "old", "new"),
    MUTATIONS,
    ids=[f"{module.__name__[3:]}-{number}" for number, (module, _, _) in enumerate(MUTATIONS)],
)
def test_a_planted_error_is_noticed(module, old, new):
    """A test suite that passes whatever the equations say."""
    planted = mutant(module, old, new)
    with pytest.raises(NOTICED):
        ORACLES[module](planted)
