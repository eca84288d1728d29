"""The gradient of an optimizer step: the same for any microbatches, order of rows and padding, and the equation's.

Every case runs an algorithm's own loop up to its optimizer step; then the step's gradient is taken in several ways,
one of them plain: one row at a time through the model, the equation token by token.
"""

import copy
import functools
import math
import statistics
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from rl import grpo, gspo, ppo, reinforce, rloo, sft
from rl.critic import Critic
from rl.learner import Learner, Settings
from rl.lora import add_lora, lora_parameters, share_base
from rl.model import ModelConfig, init_model
from rl.rollout import Rollout

CONFIG = ModelConfig("qwen3", 40, 32, 64, 2, 4, 2, 8, tie_word_embeddings=True)
TEMPERATURE, BUDGET, GROUP, BETA, CAP, LAMBDA, VALUE_CLIP = 0.8, 30, 4, 0.3, 1.1, 0.9, 0.2
REWARDS = [0.0, 0.5, 1.0, 0.5, 1.0, 0.25, 0.0, 0.75]  # exact in float32; two rows have GRPO's advantage 0
LENGTHS = [5, 1, 9, 26, 3, 13, 2, 17]  # one of those two is the longest
OFFSETS = [-0.2, 0.0, 0.2, 0.1, -0.2, 0.0, 0.2, 0.1]  # mean over a row of log pi / pi_old: each branch of a clip occurs
TRUNCATED = 7  # ran out of its budget, so it is not in the loss

KL = {"kl_coef": BETA}
CASES = {  # algorithm, its options, the learner's settings
    "grpo": (grpo, {}, {}),
    "grpo-kl": (grpo, KL, {}),
    "grpo-kl-weighted": (grpo, KL | {"kl_weighted": True}, {}),
    "grpo-importance": (grpo, {}, {"old_log_probs": "recompute", "importance_cap": CAP}),
    "grpo-token-mean": (grpo, {"loss_normalizer": "token-mean", "scale_rewards": "batch"}, {}),
    "grpo-token-mean-kl": (grpo, KL | {"loss_normalizer": "token-mean"}, {}),
    "grpo-constant": (grpo, {"loss_normalizer": "constant", "scale_rewards": "none"}, {}),
    "grpo-constant-kl": (grpo, KL | {"loss_normalizer": "constant"}, {}),
    "gspo": (gspo, {"clip_low": 0.05, "clip_high": 0.1}, {}),
    "gspo-token": (gspo, {"clip_low": 0.05, "clip_high": 0.1, "ratio_level": "token"}, {}),
    "gspo-token-kl": (gspo, KL | {"clip_low": 0.05, "clip_high": 0.1, "ratio_level": "token"}, {}),
    "reinforce": (reinforce, {}, {}),
    "reinforce-importance": (reinforce, {}, {"old_log_probs": "recompute", "importance_cap": CAP}),
    "rloo": (rloo, {}, {}),
    "rloo-kl": (rloo, KL, {}),
    "ppo": (ppo, {"gae_lambda": LAMBDA, "value_clip": VALUE_CLIP, "value_coef": 0.5}, {}),
    "ppo-kl": (ppo, KL | {"gae_lambda": LAMBDA, "value_clip": VALUE_CLIP, "value_coef": 0.5}, {}),
    "sft": (sft, {}, {}),
}
every_case = pytest.mark.parametrize("name", CASES)


# the step under test ---------------------------------------------------------------------------------------


def randomize(parameters, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters:
            parameter.copy_(0.15 * torch.randn(parameter.shape, generator=generator))


def make_learner(algorithm, settings: dict) -> Learner:
    model = init_model(CONFIG, seed=1).double()
    add_lora(model, rank=2, alpha=4)
    randomize(lora_parameters(model), seed=2)
    reference = share_base(model)
    add_lora(reference, rank=3, alpha=3)
    randomize(lora_parameters(reference), seed=3)
    critic = None
    if algorithm is ppo:
        critic = Critic(model, "lora", rank=2, alpha=4)
        randomize([p for p in critic.parameters() if p.requires_grad], seed=4)
    common = {"temperature": TEMPERATURE, "max_new_tokens": BUDGET, "mask_truncated": True}
    return Learner(model, Settings(lr=1e-3, steps=1, **common, **settings), reference, critic, critic_lr=1e-3)


def token_log_probs(model, rollout: Rollout) -> list[torch.Tensor]:
    """One row alone through the model: prompt and completion in one piece, a scalar for each completion token."""
    ids, start = rollout.prompt + rollout.completion, len(rollout.prompt)
    hidden = model(torch.tensor([ids]), torch.tensor([len(ids)]))
    log_probs = (model.logits(hidden)[0] / TEMPERATURE).log_softmax(-1)  # (P + T, V)
    return [log_probs[start - 1 + t, token] for t, token in enumerate(rollout.completion)]


def make_rollouts(model, sampled: bool) -> list[Rollout]:
    """Two prompts, two groups; log-probabilities as of a sampler that was some way off, so that ratios are clipped."""
    generator, prompts = torch.Generator().manual_seed(5), [[5, 6, 7], [8, 9, 10, 11, 12]]
    rollouts = []
    for i, (reward, length) in enumerate(zip(REWARDS, LENGTHS, strict=True)):
        completion = torch.randint(3, 40, (length,), generator=generator).tolist()
        finish = "length" if i == TRUNCATED else "eos"
        rollout = Rollout(i // GROUP, i % GROUP, prompts[i // GROUP], completion, [], finish, "", reward=reward)
        if sampled:
            with torch.no_grad():
                now = torch.stack(token_log_probs(model, rollout))
            noise = 0.3 * torch.randn(length, generator=generator)
            rollout.log_probs = (now - OFFSETS[i] + noise - noise.mean()).float().tolist()  # what a float32 holds
        rollouts.append(rollout)
    return rollouts


@functools.cache
def capture(name: str) -> SimpleNamespace:
    """An algorithm's own loop, stopped where it hands its batch and its loss to the learner."""
    algorithm, changes, settings = CASES[name]
    learner = make_learner(algorithm, settings)
    options = algorithm.Options(**changes)
    rollouts = make_rollouts(learner.model, sampled=algorithm is not sft)
    step = SimpleNamespace(learner=learner, options=options, algorithm=algorithm)

    def update(batch, loss, options, every_row=False, target_kl=0.0):
        step.batch, step.loss, step.every_row = batch, loss, every_row
        learner.step += 1
        return {}

    learner.update = update
    algorithm.train(learner, lambda _: rollouts, lambda *_: None, options)
    if algorithm is ppo:  # values that the critic has moved away from, so that some are clipped
        step.first_values = step.batch.values
        noise = torch.randn(step.batch.values.shape, generator=torch.Generator().manual_seed(6))
        step.batch.values = step.batch.values + 0.3 * noise * step.batch.mask
    return step


def gradient(step, batch=None, microbatch_rows: int = 8, every_row: bool | None = None) -> torch.Tensor:
    """Of the learner's minibatch: one long vector over all trained parameters, the critic's after the policy's."""
    learner = step.learner
    learner.settings = replace(learner.settings, microbatch_rows=microbatch_rows)
    every_row = step.every_row if every_row is None else every_row
    learner._backward(batch or step.batch, step.loss, step.options, every_row, fresh=True)
    return torch.cat([p.grad.flatten() for parameters in learner.trained.values() for p in parameters])


def assert_same(ours: torch.Tensor, other: torch.Tensor) -> None:
    """The bar of the project is 1e-6; the model computes in float64."""
    assert other.abs().max() > 1e-4
    assert ((ours - other).norm() / other.norm()).item() < 1e-12


# invariance ------------------------------------------------------------------------------------------------


@every_case
def test_microbatches_do_not_change_the_gradient(name):
    """A mean over a microbatch, which depends on how the rows are cut for memory."""
    step = capture(name)
    whole = gradient(step, microbatch_rows=8)
    for rows in (4, 3, 2, 1):
        assert_same(gradient(step, microbatch_rows=rows), whole)


@every_case
def test_order_of_rows_does_not_change_the_gradient(name):
    """A tensor of the batch that is not taken along with its row, or a prompt of another row."""
    step = capture(name)
    whole = gradient(step)
    for seed in range(2):
        order = torch.randperm(8, generator=torch.Generator().manual_seed(seed)).tolist()
        assert_same(gradient(step, step.batch.rows(order), microbatch_rows=3), whole)


@every_case
def test_padding_does_not_change_the_gradient(name):
    """What stands at the padding, or how much of it there is, leaking into the loss."""
    step = capture(name)
    padded = copy.copy(step.batch)
    generator = torch.Generator().manual_seed(7)
    for field, tensor in vars(step.batch).items():
        if isinstance(tensor, torch.Tensor):
            wide = torch.nn.functional.pad(tensor, (0, 6))
            if "mask" not in field:
                real = torch.nn.functional.pad(step.batch.mask, (0, 6)).bool()
                wide = wide.where(real, torch.randn(wide.shape, generator=generator).to(wide))
            setattr(padded, field, wide)
    for rows in (8, 3):
        assert_same(gradient(step, padded, microbatch_rows=rows), gradient(step))


@pytest.mark.parametrize(
    "name", ["grpo", "grpo-token-mean", "grpo-constant", "gspo", "gspo-token", "reinforce", "rloo"]
)
def test_a_longer_row_without_weight_does_not_change_the_gradient(name):
    """Rows padded to the length of one that has an advantage of zero, which else is not computed at all."""
    step = capture(name)
    longest = LENGTHS.index(max(LENGTHS))
    assert (step.batch.advantages[longest] == 0).all()
    assert not step.every_row
    assert_same(gradient(step, every_row=True), gradient(step))


# the equations, plainly ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in CASES if name != "sft"])
def test_advantages_of_the_loop_are_the_equations(name):
    """A KL with the wrong sign, length or coefficient in the reward; a truncated row that leaves the baseline."""
    step = capture(name)
    expected = plain_advantages(step, [plain_penalties(step, i) for i in range(8)])
    for i, length in enumerate(LENGTHS):
        assert step.batch.advantages[i, :length].tolist() == pytest.approx(expected[i], rel=1e-5, abs=1e-6)
        assert (step.batch.advantages[i, length:] == 0).all()


@every_case
def test_gradient_is_the_equations(name):
    """Shared prompts, packing, chunks, masks or totals that make it another gradient than the equation's."""
    step, seen = capture(name), set()
    counted = [i for i in range(8) if i != TRUNCATED]
    tokens = sum(LENGTHS[i] for i in counted)
    loss = sum(plain_loss(step, i, tokens, seen) for i in counted)
    parameters = [p for group in step.learner.trained.values() for p in group]
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])
    assert seen == branches(name)
    assert_same(gradient(step), expected)


def branches(name: str) -> set[str]:
    """What must occur in a case, lest it prove little."""
    if name in ("sft", "reinforce"):
        return set()
    if name == "reinforce-importance":
        return {"capped", "not capped"}
    if name == "grpo-importance":  # the old log-probabilities are recomputed, so no ratio but the weights
        return {"whole", "capped", "not capped"}
    value = {"value cut", "value whole"} if name.startswith("ppo") else set()
    return {"cut low", "cut high", "whole"} | value


def plain_penalties(step, i: int) -> list[float]:
    """beta times the log-ratio to the reference of each token, where the KL belongs into the reward."""
    rollout = step.batch.rollouts[i]
    if step.algorithm in (grpo, gspo, reinforce) or not step.options.kl_coef:
        return [0.0] * len(rollout.completion)
    with torch.no_grad():
        reference = token_log_probs(step.learner.reference, rollout)
    return [BETA * (old - ref.item()) for old, ref in zip(rollout.log_probs, reference, strict=True)]


def plain_advantages(step, penalties: list[list[float]]) -> list[list[float]]:
    """A_it of every token of every row."""
    if step.algorithm is ppo:
        rows = [plain_gae(step, i, penalties[i]) for i in range(8)]
        every = [value for row in rows for value in row]
        mean, deviation = statistics.mean(every), statistics.stdev(every)
        return [[(value - mean) / deviation for value in row] for row in rows]
    rewards = [reward - sum(row) for reward, row in zip(REWARDS, penalties, strict=True)]
    advantages = []
    for i, reward in enumerate(rewards):
        group = rewards[:GROUP] if i < GROUP else rewards[GROUP:]
        if step.algorithm is rloo:
            advantage = reward - (sum(group) - reward) / (GROUP - 1)
        elif step.algorithm is reinforce:
            advantage = reward - statistics.mean(rewards)
        else:
            advantage = reward - statistics.mean(group)
            deviations = {"group": statistics.stdev(group) + 1e-4, "batch": statistics.stdev(rewards) + 1e-4, "none": 1}
            advantage /= deviations[step.options.scale_rewards]
        advantages.append([advantage] * LENGTHS[i])
    return advantages


def plain_gae(step, i: int, penalties: list[float]) -> list[float]:
    """A_t as the sum that defines it, with gamma = 1."""
    rewards = [-penalty for penalty in penalties]
    rewards[-1] += REWARDS[i]
    values = step.first_values[i, : LENGTHS[i]].tolist() + [0.0]
    deltas = [reward + values[t + 1] - values[t] for t, reward in enumerate(rewards)]
    return [sum(LAMBDA**later * delta for later, delta in enumerate(deltas[t:])) for t in range(len(deltas))]


def plain_loss(step, i: int, tokens: int, seen: set[str]) -> torch.Tensor:
    """One row's share of the loss, token by token; notes in `seen` what occurred."""
    learner, options, rollout = step.learner, step.options, step.batch.rollouts[i]
    log_probs, length = token_log_probs(learner.model, rollout), LENGTHS[i]
    if step.algorithm is sft:
        return -sum(log_probs) / tokens

    advantages = step.batch.advantages[i, :length].tolist()
    if step.algorithm is reinforce:
        weight = 1.0
        if learner.settings.importance_cap:  # of the whole completion
            weight = math.exp(sum(log_probs).item() - sum(rollout.log_probs))
            seen.add("capped" if weight > CAP else "not capped")
        return -min(weight, CAP) * advantages[0] * sum(log_probs) / 8
    old, weights = rollout.log_probs, [1.0] * length
    if learner.settings.old_log_probs == "recompute":
        old = [value.item() for value in log_probs]
        weights = [math.exp(value - sampled) for value, sampled in zip(old, rollout.log_probs, strict=True)]
        seen |= {"capped" if weight > CAP else "not capped" for weight in weights}
        weights = [min(weight, CAP) for weight in weights]
    log_ratios = [now - before for now, before in zip(log_probs, old, strict=True)]

    if step.algorithm is rloo:
        return -surrogate(sum(log_ratios).exp(), advantages[0], options, seen) / 8
    if step.algorithm is gspo:
        mean = sum(log_ratios) / length
        if options.ratio_level == "token":
            ratios = [(mean.detach() + now - now.detach()).exp() for now in log_probs]
        else:
            ratios = [mean.exp()] * length
        share = 1 / (8 * length)
    else:
        ratios = [log_ratio.exp() for log_ratio in log_ratios]
        normalizer = "token-mean" if step.algorithm is ppo else options.loss_normalizer
        shares = {"sequence-mean": 1 / (8 * length), "token-mean": 1 / tokens, "constant": 1 / (8 * BUDGET)}
        share = shares[normalizer]

    loss = 0.0
    for ratio, advantage, weight in zip(ratios, advantages, weights, strict=True):
        loss = loss - share * weight * surrogate(ratio, advantage, options, seen)
    if step.algorithm is ppo:
        return loss + options.value_coef * plain_value_loss(step, i, seen) / tokens
    if options.kl_coef:
        with torch.no_grad():
            reference = token_log_probs(learner.reference, rollout)
        for now, ref, log_ratio in zip(log_probs, reference, log_ratios, strict=True):
            k3 = (ref - now).exp() - 1 - (ref - now)
            loss = loss + share * BETA * k3 * (log_ratio.exp() if options.kl_weighted else 1)
    return loss


def surrogate(ratio: torch.Tensor, advantage: float, options, seen: set[str]) -> torch.Tensor:
    """min(r A, clip(r) A), case by case."""
    if advantage > 0 and ratio > 1 + options.clip_high:
        seen.add("cut high")
        return 0 * ratio + (1 + options.clip_high) * advantage
    if advantage < 0 and ratio < 1 - options.clip_low:
        seen.add("cut low")
        return 0 * ratio + (1 - options.clip_low) * advantage
    seen.add("whole")
    return ratio * advantage


def plain_value_loss(step, i: int, seen: set[str]) -> torch.Tensor:
    """Half the larger squared error of V and of V kept near the old one, summed over a row's tokens."""
    critic, rollout, loss = step.learner.critic, step.batch.rollouts[i], 0.0
    ids = rollout.prompt + rollout.completion
    hidden = critic.backbone(torch.tensor([ids]), torch.tensor([len(ids)]))[0]  # (P + T, D)
    for t in range(LENGTHS[i]):
        value = critic.head(hidden[len(rollout.prompt) - 1 + t] / hidden.shape[-1] ** 0.5)[0]
        old, target = step.batch.values[i, t].item(), step.batch.returns[i, t].item()
        kept = min(max(value.item(), old - VALUE_CLIP), old + VALUE_CLIP)
        error = (value - target) ** 2
        if (kept - target) ** 2 > error:
            seen.add("value cut")
            error = 0 * value + (kept - target) ** 2
        else:
            seen.add("value whole")
        loss = loss + error / 2
    return loss
