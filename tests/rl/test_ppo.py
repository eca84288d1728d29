"""PPO against plain loops: advantages, losses, the critic and the loop around them."""

import copy
import math
import statistics
from types import SimpleNamespace

import pytest
import torch

from rl import ppo
from rl.credit import dense_rewards
from rl.critic import KINDS, Critic, explained_variance
from rl.learner import Learner, Settings, layout_of
from rl.lora import add_lora, lora_parameters, share_base
from rl.loss import Totals
from rl.model import ModelConfig, init_model
from rl.ppo import generalized_advantages, policy_loss, value_loss, whiten
from rl.rollout import Batch, Rollout
from rl.sample import sample

CONFIG = ModelConfig("qwen3", 20, 16, 32, 1, 2, 1, 8, tie_word_embeddings=True)


def randn(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_mask(rows, width, seed):
    lengths = torch.randint(1, width + 1, (rows,), generator=torch.Generator().manual_seed(seed))
    return (torch.arange(width) < lengths[:, None]).double()


def cells(mask):
    """(row, position, length of the row) of every real token."""
    return [(i, t, int(row.sum())) for i, row in enumerate(mask) for t in range(int(row.sum()))]


# advantages and returns ------------------------------------------------------------------------------------


def plain_advantage(rewards, values, t, gamma, gae_lambda):
    """A_t of one row of numbers, as the sum that defines it: no recursion."""
    following = [*values[1:], 0.0]
    deltas = [r + gamma * after - v for r, after, v in zip(rewards, following, values, strict=True)]
    return sum((gamma * gae_lambda) ** (k - t) * deltas[k] for k in range(t, len(deltas)))


@pytest.mark.parametrize(("gamma", "gae_lambda"), [(1.0, 0.95), (0.9, 0.8), (1.0, 1.0), (0.97, 0.0), (0.9, 1.0)])
def test_advantages_equal_the_sum_that_defines_them(gamma, gae_lambda):
    """A value of the padding used as that of the next state, an off-by-one, gamma without lambda or the reverse."""
    for seed in range(5):
        mask = random_mask(7, 6, seed)
        rewards, values = randn(7, 6, seed=seed + 10), randn(7, 6, seed=seed + 20)
        rewards, values = rewards.where(mask.bool(), 1e3), values.where(mask.bool(), -1e3)  # garbage at the padding
        advantages, returns = generalized_advantages(rewards, values, mask, gamma, gae_lambda)
        for i, t, length in cells(mask):
            expected = plain_advantage(rewards[i, :length].tolist(), values[i, :length].tolist(), t, gamma, gae_lambda)
            assert advantages[i, t].item() == pytest.approx(expected, rel=1e-12, abs=1e-12)
            assert returns[i, t].item() == pytest.approx(expected + values[i, t].item(), rel=1e-12, abs=1e-12)
        assert (advantages[mask == 0] == 0).all()
        assert (returns[mask == 0] == 0).all()


def test_lambda_one_is_the_return_and_lambda_zero_one_step():
    """The two ends swapped, as with lambda and 1 - lambda: reward-to-go minus value, and delta."""
    rewards, values = torch.tensor([[0.5, -1.0, 2.0]]), torch.tensor([[0.1, 0.2, 0.4]])
    mask = torch.ones(1, 3)
    advantages, returns = generalized_advantages(rewards, values, mask, 1.0, 1.0)
    torch.testing.assert_close(returns, torch.tensor([[1.5, 1.0, 2.0]]))
    torch.testing.assert_close(advantages, torch.tensor([[1.4, 0.8, 1.6]]))
    advantages, returns = generalized_advantages(rewards, values, mask, 1.0, 0.0)
    torch.testing.assert_close(advantages, torch.tensor([[0.6, -0.8, 1.6]]))
    torch.testing.assert_close(returns, torch.tensor([[0.7, -0.6, 2.0]]))


def test_the_example_of_the_docstring():
    """Rewards [0, 0, 1] and values of 0.5: A = 0.5 and R = 1 everywhere."""
    advantages, returns = generalized_advantages(
        torch.tensor([[0.0, 0.0, 1.0]]), torch.full((1, 3), 0.5), torch.ones(1, 3), 1.0, 1.0
    )
    assert (advantages.tolist(), returns.tolist()) == ([[0.5, 0.5, 0.5]], [[1.0, 1.0, 1.0]])


def test_whitening_equals_the_statistics_module():
    """Mean and deviation taken over the padding, or row by row."""
    mask, advantages = random_mask(6, 5, 0), 3 + 2 * randn(6, 5, seed=1)
    real = [advantages[i, t].item() for i, t, _ in cells(mask)]
    found = whiten(advantages.where(mask.bool(), 1e6), mask)
    for i, t, _ in cells(mask):
        expected = (advantages[i, t].item() - statistics.mean(real)) / statistics.stdev(real)
        assert found[i, t].item() == pytest.approx(expected, rel=1e-6, abs=1e-7)
    assert (found[mask == 0] == 0).all()


def test_whitening_of_equal_advantages_is_zero():
    """0 / 0 where every token has the same advantage."""
    assert whiten(torch.ones(2, 3), torch.ones(2, 3)).tolist() == [[0.0] * 3] * 2


# token rewards ---------------------------------------------------------------------------------------------


def rollout(completion, **more):
    return Rollout(0, 0, [3], completion, [-1.0] * len(completion), "eos", "", **more)


def test_what_is_located_falls_on_its_token_and_the_rest_on_the_last():
    """The reward put at the end of the padding, where it reaches no state; a part paid twice, or at the wrong token."""
    rollouts = [rollout([4, 0], reward=0.7), rollout([5, 6, 0], reward=9.0, token_rewards=[0.1, -0.2, 0.5])]
    found = dense_rewards([*rollouts, rollout([0], reward=-1.0)])
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.7, 0.0], [0.1, -0.2, 9.1], [-1.0, 0.0, 0.0]]))


def test_located_rewards_of_another_length_are_an_error():
    """A row that is one token short: every reward would stand at the wrong token."""
    with pytest.raises(ValueError, match="prompt 0: token_rewards: 2 numbers for 3 tokens"):
        dense_rewards([rollout([5, 6, 0], token_rewards=[0.1, 0.2])])


# losses ----------------------------------------------------------------------------------------------------


def test_policy_loss_equals_a_plain_loop():
    """PPO's mean is over all tokens of the step; a mean over sequences would weigh short completions more."""
    for seed in range(5):
        mask, advantages = random_mask(6, 5, seed), randn(6, 5, seed=seed + 1)
        old = -torch.rand(6, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        new = old + 0.4 * randn(6, 5, seed=seed + 2)
        total = 0.0
        for i, t, _ in cells(mask):
            ratio, advantage = math.exp(new[i, t].item() - old[i, t].item()), advantages[i, t].item()
            total += max(-ratio * advantage, -min(max(ratio, 0.8), 1.2) * advantage)
        totals = Totals(6, len(cells(mask)), 5)
        data = Batch([], mask, mask, old, old, advantages=advantages)
        loss, _ = policy_loss(new, data, totals, ppo.Options(clip_low=0.2, clip_high=0.2))
        assert loss.item() == pytest.approx(total / totals.tokens, rel=1e-12)


def targets(mask, old, returns):
    """What the value loss needs of a batch, (B, T) each; rows as wide as the tensors."""
    rollouts = [rollout([4] * mask.shape[1]) for _ in mask]
    return Batch(rollouts, torch.ones_like(mask), mask, mask, mask, values=old, returns=returns)


def test_value_loss_equals_a_plain_loop():
    """The smaller of the two errors, a mean over rows, or a clip around the return in place of the old value."""
    for seed in range(5):
        mask = random_mask(6, 5, seed)
        old, returns = randn(6, 5, seed=seed + 1), randn(6, 5, seed=seed + 2)
        values = (old + 0.4 * randn(6, 5, seed=seed + 3)).where(mask.bool(), 1e3)
        total, cut = 0.0, 0
        for i, t, _ in cells(mask):
            v, before, target = values[i, t].item(), old[i, t].item(), returns[i, t].item()
            clipped = min(max(v, before - 0.3), before + 0.3)
            total += max((v - target) ** 2, (clipped - target) ** 2) / 2
            cut += (clipped - target) ** 2 > (v - target) ** 2
        totals = Totals(6, len(cells(mask)), 5)
        data = targets(mask, old, returns)
        loss, metrics = value_loss(values, data, totals, value_clip=0.3)
        assert loss.item() == pytest.approx(total / totals.tokens, rel=1e-12)
        assert metrics["value_loss"] == loss.item()
        assert cut > 0
        assert metrics["value_clip_ratio"] == pytest.approx(cut / totals.tokens)
        parts = [
            value_loss(values[i:j], data.rows(list(range(i, j))), totals, value_clip=0.3)[0].item()
            for i, j in ((0, 1), (1, 6))
        ]
        assert sum(parts) == pytest.approx(loss.item(), rel=1e-12)


@pytest.mark.parametrize(
    ("value", "target", "has_gradient"),
    [
        (0.5, 2.0, False),  # beyond the clip, on the way to the return: enough for this batch
        (0.5, -2.0, True),  # beyond it, away from the return: must come back
        (-0.5, -2.0, False),
        (-0.5, 2.0, True),
        (0.1, 2.0, True),  # within
        (0.1, -2.0, True),
    ],
)
def test_value_gradient_is_cut_on_the_right_side(value, target, has_gradient):
    """A minimum in place of the maximum: the critic is then cut off when it must come back. The old value is 0."""
    values = torch.tensor([[value]], dtype=torch.float64, requires_grad=True)
    one = torch.ones(1, 1, dtype=torch.float64)
    loss, metrics = value_loss(values, targets(one, 0 * one, target * one), Totals(1, 1, 1), value_clip=0.2)
    loss.backward()
    assert values.grad.item() == pytest.approx(value - target if has_gradient else 0.0)
    assert metrics["value_clip_ratio"] == (not has_gradient)


def test_explained_variance_of_known_critics():
    """A critic that knows nothing reported as a good one: 1 perfect, 0 the mean, below 0 worse; padding aside."""
    mask = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    returns = torch.tensor([[1.0, 2.0, 50.0], [0.0, 3.0, 4.0]])
    assert explained_variance(returns * mask + 1 - mask, returns, mask) == 1.0
    assert explained_variance(torch.full((2, 3), 2.0), returns, mask) == pytest.approx(0.0)
    assert explained_variance(-returns, returns, mask) == pytest.approx(-3.0)
    assert explained_variance(returns / 2, returns, mask) == pytest.approx(0.75)


def test_explained_variance_of_equal_returns_is_none():
    """Round-off divided by round-off, minus millions of millions, in the plot of a run whose groups all pass.

    The returns are all 0.7, but for the last bit: they are advantages plus values.
    """
    values, mask = 0.1 * randn(4, 3, seed=0).float(), torch.ones(4, 3)
    rewards = torch.tensor([[0.0, 0.0, 0.7]]).expand(4, 3)
    _, returns = generalized_advantages(rewards, values, mask, 1.0, 1.0)
    assert 0 < returns.std() < 1e-6  # the trap is real
    assert explained_variance(values, returns, mask) is None
    assert explained_variance(values, torch.ones(4, 3), mask) is None
    assert explained_variance(0 * mask, rewards * 1e-3, mask) is not None  # small returns that do differ


# the critic ------------------------------------------------------------------------------------------------

PROMPTS, ROWS, COMPLETIONS = [[5, 6, 7], [8, 9]], [0, 1, 0], [[4, 3, 1], [11, 1], [7, 2, 12]]


def make_policy(dtype=torch.float32):
    model = init_model(CONFIG, seed=1).to(dtype)
    add_lora(model, rank=2, alpha=4, seed=2)
    randomise(lora_parameters(model), 0.2)
    return model


def randomise(parameters, scale, seed=3):
    with torch.no_grad():
        for number, parameter in enumerate(parameters):
            parameter.copy_(scale * randn(*parameter.shape, seed=seed + number))


def make_critic(policy, kind):
    """With a head and an adapter that are not zero, as after some learning."""
    critic = Critic(policy, kind, rank=2, seed=4)
    randomise(critic.head.parameters(), 1.0, seed=50)
    if kind == "lora":
        randomise(lora_parameters(critic.backbone), 0.2, seed=70)
    return critic


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_a_plain_forward_one_position_early(kind):
    """V(s_t) that has already seen token t: the critic would know the action, and the baseline be biased."""
    critic = make_critic(make_policy(torch.float64), kind)
    found = critic(PROMPTS, ROWS, COMPLETIONS)
    assert found.shape == (3, 3)
    weight, bias = critic.head.weight[0], critic.head.bias[0]
    for row, completion in enumerate(COMPLETIONS):
        prompt = PROMPTS[ROWS[row]]
        ids = torch.tensor([prompt + completion])
        hidden = critic.backbone(ids, torch.tensor([ids.shape[1]]))[0]  # one sequence, no prefix, no padding
        for t in range(len(completion)):
            state = hidden[len(prompt) - 1 + t] / math.sqrt(16)  # the width: see rl/critic.py
            assert found[row, t].item() == pytest.approx((state @ weight + bias).item(), rel=1e-10)
    changed = critic(PROMPTS, ROWS, [[4, 17, 1], *COMPLETIONS[1:]])
    assert (changed[0, :2] - found[0, :2]).abs().max() < 1e-12  # token 1 is not known to V(s_1)
    assert (changed[0, 2] - found[0, 2]).abs() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_first_values_are_zero_and_know_nothing_of_the_policys_adapter(kind):
    """A random critic that bends the first advantages; a backbone that moves with the policy's adapter."""
    policy = make_policy()
    assert (Critic(policy, kind, rank=2)(PROMPTS, ROWS, COMPLETIONS) == 0).all()
    critic = make_critic(policy, kind)
    before = critic(PROMPTS, ROWS, COMPLETIONS)
    randomise(lora_parameters(policy), 0.5, seed=90)
    assert torch.equal(critic(PROMPTS, ROWS, COMPLETIONS), before)


@pytest.mark.parametrize("kind", KINDS)
def test_who_gets_a_gradient_and_who_shares_memory(kind):
    """A base trained through the critic, or a second base in memory where one would do."""
    policy = make_policy()
    base = {n.replace(".base.", "."): p for n, p in policy.named_parameters() if ".lora_" not in n}
    critic = make_critic(policy, kind)
    critic(PROMPTS, ROWS, COMPLETIONS).square().sum().backward()
    moved = {name for name, p in critic.named_parameters() if p.grad is not None and p.grad.any()}
    wanted = {
        "linear": {"head.weight", "head.bias"},
        "lora": {"head.weight", "head.bias"} | {n for n, _ in critic.named_parameters() if ".lora_" in n},
        "copy": {name for name, _ in critic.named_parameters()},
    }
    assert moved == wanted[kind]
    assert moved == {name for name, p in critic.named_parameters() if p.requires_grad}
    assert all(p.grad is None for p in policy.parameters())
    shared = {p.data_ptr() for p in base.values()} & {p.data_ptr() for p in critic.parameters()}
    assert len(shared) == (0 if kind == "copy" else len(base))
    assert not any(p.requires_grad for p in base.values())


def test_unknown_kind_of_critic_is_an_error():
    """A misspelled kind that silently becomes a linear head."""
    with pytest.raises(ValueError, match="critic: unknown kind 'mlp'"):
        Critic(make_policy(), "mlp")


# options ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "chosen", "rate"), [("linear", 0.0, 1e-2), ("copy", 0.0, 2e-3), ("copy", 0.5, 0.5)])
def test_learning_rate_of_the_critic(kind, chosen, rate):
    """A critic that stays at a rate of 0, one rate for all kinds, or a chosen rate that is overwritten."""
    options = ppo.Options(critic=kind, critic_lr=chosen)
    options.check(SimpleNamespace(credit="uniform"))
    assert options.critic_lr == rate


@pytest.mark.parametrize("options", [{}, {"kl_coef": 0.1, "kl_in": "loss", "kl_estimator": "k3"}])
def test_a_target_of_the_kl_needs_a_kl_in_the_reward(options):
    """A target that nothing is adapted towards, accepted in silence."""
    run = SimpleNamespace(credit="uniform")
    with pytest.raises(ValueError, match="--kl-target.*--kl-in reward"):
        ppo.Options(kl_target=6.0, **options).check(run)
    ppo.Options(kl_target=6.0, kl_coef=0.1).check(run)


# the loop --------------------------------------------------------------------------------------------------


def collect_from(model, same_batch=False):
    """Samples two prompts four times; a completion is rewarded by its share of even tokens."""

    def collect(step):
        drawn = sample(
            model,
            PROMPTS,
            seed=0,
            step=0 if same_batch else step,
            prompt_ids=[0, 1],
            group_size=4,
            max_new_tokens=5,
            eos_ids=[0, 1],
        )
        rollouts = []
        for i, c in enumerate(drawn):
            reward = sum(token % 2 == 0 for token in c.ids) / len(c.ids)
            rollouts.append(
                Rollout(i // 4, i % 4, PROMPTS[i // 4], c.ids, c.log_probs, c.finish_reason, "", reward=reward)
            )
        return rollouts

    return collect


def run(
    kind="linear", steps=2, reference=False, settings=None, critic_lr=1e-2, same_batch=False, state=None, **options
):
    """`steps` steps of PPO on a tiny policy; the learner, its policy before, and what was logged."""
    policy = make_policy()
    before = copy.deepcopy(policy)
    critic = Critic(policy, kind, rank=2, seed=4)
    chosen = {"lr": 1e-2, "steps": steps, "microbatch_rows": 3} | (settings or {})
    learner = Learner(policy, Settings(**chosen), share_base(policy) if reference else None, critic, critic_lr)
    learner.state |= state or {}  # as a resumed run finds it
    logged = []
    chosen = ppo.Options(**options)
    ppo.train(learner, collect_from(policy, same_batch), lambda batch, metrics: logged.append((batch, metrics)), chosen)
    return learner, before, logged


@pytest.mark.parametrize("kind", KINDS)
def test_training_moves_policy_and_critic_but_not_the_base(kind):
    """A base weight in the optimizer; a critic that learns nothing, or only in its head where it has more."""
    learner, before, logged = run(kind, steps=3)  # the head learns first, then B, then A: each waits for the last
    old = dict(before.named_parameters())
    for name, parameter in learner.model.named_parameters():
        assert torch.equal(parameter, old[name]) == (".lora_" not in name), name
    fresh = dict(Critic(before, kind, rank=2, seed=4).named_parameters())
    for name, parameter in learner.critic.named_parameters():
        assert torch.equal(parameter, fresh[name]) == (not parameter.requires_grad), name
    assert logged[0][1]["value_loss"] > 0
    assert logged[0][1]["critic/grad_norm"] > 0


def test_batch_carries_values_advantages_and_returns_of_the_old_critic():
    """Advantages of a critic that has already learned from the batch; a reward in the wrong place."""
    _, _, logged = run(steps=2, gamma=0.9, gae_lambda=0.7)
    batch, metrics = logged[1]
    assert batch.values[batch.mask == 1].std() > 1e-4  # it has learned from the batch before
    advantages = torch.zeros_like(batch.mask)
    for i, t, length in cells(batch.mask):
        rewards = [0.0] * (length - 1) + [batch.rollouts[i].reward]
        advantages[i, t] = plain_advantage(rewards, batch.values[i, :length].tolist(), t, 0.9, 0.7)
    torch.testing.assert_close(batch.returns, (advantages + batch.values) * batch.mask, rtol=1e-5, atol=1e-6)
    real = [advantages[i, t].item() for i, t, _ in cells(batch.mask)]
    whitened = (advantages - statistics.mean(real)) / statistics.stdev(real) * batch.mask
    torch.testing.assert_close(batch.advantages, whitened, rtol=1e-4, atol=1e-5)
    raw = run(steps=1, gamma=0.9, gae_lambda=0.7, whiten=False)[2][0][0]
    torch.testing.assert_close(raw.advantages, (raw.returns - raw.values) * raw.mask, rtol=1e-5, atol=1e-6)

    def explained(targets):
        errors = [targets[i][t] - batch.values[i, t].item() for i, t, _ in cells(batch.mask)]
        return 1 - statistics.variance(errors) / statistics.variance(targets[i][t] for i, t, _ in cells(batch.mask))

    to_go = [[0.9 ** (len(r.completion) - 1 - t) * r.reward for t in range(len(r.completion))] for r in batch.rollouts]
    assert metrics["explained_variance"] == pytest.approx(explained(batch.returns.tolist()), abs=1e-4)
    assert metrics["explained_variance/rewards"] == pytest.approx(explained(to_go), abs=1e-4)


def test_the_critic_begins_at_the_mean_return_and_is_moved_there_once():
    """A critic that is centred anew in every step, on top of what it has learned, or centred on a token's mean."""
    _, _, logged = run(steps=3, settings={"lr": 0.0}, critic_lr=0.0)
    mean = statistics.mean(rollout.reward for rollout in logged[0][0].rollouts)
    assert mean > 0.1
    for batch, _ in logged:
        torch.testing.assert_close(batch.values, mean * batch.mask, rtol=1e-5, atol=1e-6)


def test_value_coefficient_scales_the_critics_gradient():
    """A coefficient that is read and not used, or that scales the policy's gradient too."""
    one, three = (run(steps=1, value_coef=c, settings={"max_grad_norm": 1e9})[2][0][1] for c in (1.0, 3.0))
    assert three["critic/grad_norm"] == pytest.approx(3 * one["critic/grad_norm"], rel=1e-4)
    assert three["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4)
    assert three["loss"] - one["loss"] == pytest.approx(2 * one["value_loss"], rel=1e-3)


def test_adaptive_coefficient_lives_in_the_learners_state():
    """A coefficient that starts anew after every step or resume, or that was adapted before it was used."""
    options = {"reference": True, "kl_coef": 0.1, "kl_target": 0.05, "kl_horizon": 100}
    learner, _, logged = run(steps=3, **options)
    beta = 0.1
    for batch, metrics in logged:
        assert metrics["kl_coef"] == pytest.approx(beta, rel=1e-12)
        gaps = [
            sum((batch.old_log_probs - batch.ref_log_probs)[i, : len(r.completion)].tolist())
            for i, r in enumerate(batch.rollouts)
        ]
        beta *= 1 + min(max(sum(gaps) / 8 / 0.05 - 1, -0.2), 0.2) * 8 / 100
    assert learner.state == {"kl_coef": pytest.approx(beta, rel=1e-6)}
    assert beta != 0.1
    fixed, _, _ = run(steps=2, reference=True, kl_coef=0.1)
    assert fixed.state == {"kl_coef": 0.1}
    _, _, resumed = run(steps=1, state={"kl_coef": 0.37}, **options)
    assert resumed[0][1]["kl_coef"] == 0.37


def test_kl_in_the_reward_is_taken_from_every_token():
    """beta times KL added, put on the last token only, or left out of the returns."""
    _, _, logged = run(steps=1, reference=True, kl_coef=0.3, whiten=False, gae_lambda=1.0)
    batch = logged[0][0]
    gap = batch.old_log_probs - batch.ref_log_probs
    for i, t, length in cells(batch.mask):
        to_go = batch.rollouts[i].reward - 0.3 * sum(gap[i, t:length].tolist())
        assert batch.returns[i, t].item() == pytest.approx(to_go, rel=1e-4, abs=1e-5)


def test_target_kl_ends_a_batch_before_the_step_too_far():
    """A step that is refused and taken all the same, or one that ends the run in place of the batch's updates."""
    settings = {"lr": 3e-2, "epochs": 5}
    learner, _, logged = run(steps=1, settings=settings, target_kl=1e-4)
    free, _, unbounded = run(steps=1, settings=settings)
    once, _, _ = run(steps=1, settings={**settings, "epochs": 1})
    assert logged[0][1]["optimizer_steps"] == 1.0
    assert unbounded[0][1]["optimizer_steps"] == 5.0
    for name in ("policy", "critic"):
        stopped, single, five = (which.trained[name] for which in (learner, once, free))
        assert all(torch.equal(a, b) for a, b in zip(stopped, single, strict=True))
        assert not any(torch.equal(a, b) for a, b in zip(stopped, five, strict=True))
    loose, _, logged = run(steps=2, settings=settings, target_kl=1e3)
    assert [metrics["optimizer_steps"] for _, metrics in logged] == [5.0, 5.0]


def test_the_critic_learns_to_predict_the_returns():
    """A critic trained on whitened returns, or with the wrong sign: explained variance would stay at 0."""
    settings = {"lr": 0.0, "lr_schedule": "constant", "epochs": 2}
    _, _, logged = run("lora", steps=25, same_batch=True, settings=settings, critic_lr=6e-2, gae_lambda=1.0)
    assert logged[0][1]["explained_variance"] == pytest.approx(0.0, abs=1e-6)
    assert logged[-1][1]["explained_variance"] > 0.5


def test_values_of_microbatches_equal_those_of_the_whole():
    """Rows that change places, or widths that differ between microbatches."""
    policy = make_policy()
    critic = make_critic(policy, "lora")
    rollouts = collect_from(policy)(0)
    found = []
    for rows in (3, 64):
        learner = Learner(policy, Settings(lr=1e-3, steps=1, microbatch_rows=rows), critic=critic)
        found.append(learner.values(learner.prepare(rollouts)))
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[1], (critic(*layout_of(rollouts)) * learner.prepare(rollouts).mask).detach())


@pytest.mark.parametrize("kind", KINDS)
def test_a_critic_on_a_bf16_policy_learns_in_fp32(kind):
    """Updates that are lost because bf16 cannot resolve them, and a head that is fed another dtype than its own."""
    critic = Critic(make_policy().to(torch.bfloat16), kind, rank=2)
    trained = [p for p in critic.parameters() if p.requires_grad]
    assert {p.dtype for p in trained} == {torch.float32}
    values = critic([[3, 4]], [0, 0], [[5, 6], [7]])
    assert values.dtype == torch.float32
    values.sum().backward()
    assert critic.head.bias.grad is not None
