"""Does the expected update point along the gradient of the expected reward? By enumeration, on a toy policy.

The policy writes two of three symbols: nine sequences a prompt, whose probabilities are known, and so is the exact
gradient of J = sum over prompts and sequences of pi(sequence) reward(sequence). The expected gradient of a loss is the
sum over all groups of G sequences (81, 729 or 6,561 of them) of the group's probability times the gradient that the
group gives. Nothing is sampled.
"""

import itertools
import math
import statistics

import pytest
import torch

from rl import grpo, gspo, ppo, reinforce, rloo
from rl.loss import Totals
from rl.rollout import Batch

SEQUENCES = torch.tensor(list(itertools.product(range(3), range(3))))  # (9, 2)
PROMPTS, LENGTH = 2, 2
# A first table of 3 logits and a second of 3 x 3, for each of the two prompts.
POLICY = torch.randn(PROMPTS, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
REWARDS = torch.rand(PROMPTS, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def sequence_log_probs(logits):
    """(12,) -> (9, 2): the log-probability of each of the two symbols of each sequence."""
    first, second = logits[:3].log_softmax(0), logits[3:].view(3, 3).log_softmax(1)
    return torch.stack([first[SEQUENCES[:, 0]], second[SEQUENCES[:, 0], SEQUENCES[:, 1]]], dim=1)


def exact_gradient(policy=POLICY, rewards=REWARDS):
    """Of the expected reward, one row a prompt: (2, 12)."""
    policy = policy.clone().requires_grad_()
    expected = sum((sequence_log_probs(policy[n]).sum(dim=1).exp() * rewards[n]).sum() for n in range(PROMPTS))
    return torch.autograd.grad(expected, policy)[0]


def expected_gradient(loss_of, size, policy=POLICY, rewards=REWARDS):
    """Of minus the loss, over all groups: (2, 12). A step holds one group of each prompt, so `size` x 2 rows.

    `loss_of(log_probs, rewards)` takes groups one below the other, with 2 columns, and rewards (groups, size).
    """
    totals = Totals(PROMPTS * size, PROMPTS * size * LENGTH, LENGTH)
    groups = torch.tensor(list(itertools.product(range(9), repeat=size)))  # (9 ** size, size)
    rows = []
    for logits, reward in zip(policy.clone().requires_grad_(), rewards, strict=True):
        log_probs = sequence_log_probs(logits)  # (9, 2)
        probability = log_probs.sum(dim=1).exp().detach()[groups].prod(dim=1)  # of each group
        table = log_probs.detach()[groups].view(-1, LENGTH).requires_grad_()  # (groups x size, 2)
        (inner,) = torch.autograd.grad(loss_of(table, reward[groups], groups, totals), table)
        weighted = inner * probability.repeat_interleave(size)[:, None]  # the chain rule, group by group
        outer = (log_probs[groups].view(-1, LENGTH) * weighted).sum()
        rows.append(torch.autograd.grad(-outer, logits)[0])
    return torch.stack(rows)


def cosine(a, b):
    return float((a * b).sum() / (a.norm() * b.norm()))


def spread(advantages, log_probs):
    """One advantage a rollout onto its two symbols, written out: (groups, size) -> (groups x size, 2)."""
    return advantages.reshape(-1, 1).expand_as(log_probs)


def batch_of(log_probs, advantages):
    """Samples of the current policy, without padding: both (rows, 2)."""
    mask, old = torch.ones_like(log_probs), log_probs.detach()
    return Batch([], mask, mask, old, old, advantages=advantages)


def grpo_loss(scale="none", normalizer="sequence-mean"):
    def loss_of(log_probs, rewards, groups, totals):
        data = batch_of(log_probs, spread(grpo.group_advantages(rewards, scale)[0], log_probs))
        return grpo.policy_loss(log_probs, data, totals, grpo.Options(loss_normalizer=normalizer))[0]

    return loss_of


def gspo_loss(level):
    def loss_of(log_probs, rewards, groups, totals):
        data = batch_of(log_probs, spread(grpo.group_advantages(rewards, "none")[0], log_probs))
        return gspo.policy_loss(log_probs, data, totals, gspo.Options(ratio_level=level))[0]

    return loss_of


def rloo_loss(log_probs, rewards, groups, totals):
    data = batch_of(log_probs, spread(rloo.leave_one_out_advantages(rewards), log_probs))
    return rloo.policy_loss(log_probs, data, totals, rloo.Options())[0]


def ppo_loss(log_probs, rewards, groups, totals):
    """gamma = lambda = 1, and a critic that is wrong everywhere: whatever it says, it may not bend the gradient."""
    critic = torch.tensor([0.3, -2.0, 0.7, 1.5], dtype=torch.float64)  # of the prompt, and after each first symbol
    first = SEQUENCES[groups.flatten()][:, 0]  # (groups x size,)
    values = torch.stack([critic[0].expand(len(first)), critic[1 + first]], dim=1)  # (groups x size, 2)
    mask = torch.ones_like(log_probs)
    on_last_token = torch.stack([torch.zeros_like(rewards.flatten()), rewards.flatten()], dim=1)
    advantages, _ = ppo.generalized_advantages(on_last_token, values, mask, 1.0, 1.0)
    return ppo.policy_loss(log_probs, batch_of(log_probs, advantages), totals, ppo.Options())[0]


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(
    ("loss_of", "factor"),
    [
        # What is left of the gradient's length: 1/2 of a mean over two prompts, 1/2 of a mean over two symbols, and
        # (G - 1)/G where the baseline contains the sample itself.
        (grpo_loss(), lambda size: (1 - 1 / size) / 4),
        (grpo_loss(normalizer="token-mean"), lambda size: (1 - 1 / size) / 4),
        (grpo_loss(normalizer="constant"), lambda size: (1 - 1 / size) / 4),
        (gspo_loss("sequence"), lambda size: (1 - 1 / size) / 4),
        (gspo_loss("token"), lambda size: (1 - 1 / size) / 4),
        (rloo_loss, lambda size: 1 / 2),
        (ppo_loss, lambda size: 1 / 4),
    ],
    ids=["grpo", "grpo-token-mean", "grpo-constant", "gspo", "gspo-token", "rloo", "ppo"],
)
def test_expected_gradient_is_that_of_the_expected_reward(loss_of, factor, size):
    """A baseline, a critic or a normaliser that bends the update away from more reward, or a lost constant factor."""
    found, exact = expected_gradient(loss_of, size), exact_gradient()
    assert cosine(found, exact) >= 0.9999
    torch.testing.assert_close(found, factor(size) * exact, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [1, 2])
def test_expected_gradient_of_reinforce_is_the_exact_one_less_the_baselines_own_share(size):
    """A baseline of the group, one without the sample itself, or one that bends the gradient.

    All batches of `size` sequences of each prompt are enumerated, as the baseline is the mean of both prompts' rewards.
    In closed form: of the B rows' R_i - 1/B sum_j R_j, only R_i - R_i / B depends on row i, so (B - 1)/B of the
    gradient is left; and 1/2 of a mean over two prompts.
    """
    rows = PROMPTS * size
    policy, prompt = POLICY.clone().requires_grad_(), torch.arange(rows) // size
    batches = torch.tensor(list(itertools.product(range(9), repeat=rows)))  # (9 ** rows, rows)
    log_probs = torch.stack([sequence_log_probs(logits) for logits in policy])[prompt, batches]  # (.., rows, 2)
    probability = log_probs.detach().sum(dim=(1, 2)).exp()  # of each batch
    advantages = [reinforce.batch_advantages(r.view(PROMPTS, size)).flatten() for r in REWARDS[prompt, batches]]
    table = log_probs.detach().view(-1, LENGTH).requires_grad_()
    data = batch_of(table, spread(torch.stack(advantages), table))
    loss, _ = reinforce.policy_loss(table, data, Totals(rows, rows * LENGTH, LENGTH), reinforce.Options())
    (inner,) = torch.autograd.grad(loss, table)
    outer = (log_probs * inner.view_as(log_probs) * probability[:, None, None]).sum()
    (found,) = torch.autograd.grad(-outer, policy)
    torch.testing.assert_close(found, (rows - 1) / rows / 2 * exact_gradient(), rtol=0, atol=1e-12)


def lengths_of_bias(scale, size, policy=POLICY, rewards=REWARDS):
    """How many times the exact gradient's length each prompt gets, relative to the first prompt's."""
    found, exact = expected_gradient(grpo_loss(scale), size, policy, rewards), exact_gradient(policy, rewards)
    ratio = found.norm(dim=1) / exact.norm(dim=1)
    return cosine(found, exact), (ratio / ratio[0]).tolist()


def test_std_scaling_overweighs_the_prompt_with_less_at_stake():
    """The bias of GRPO's division by the group's deviation, shown: rewards of the second prompt count a tenth.

    Its advantages are then blown up tenfold, so it pulls ten times as much as its share of the expected reward.
    """
    rewards = torch.stack([REWARDS[0], REWARDS[0] / 10])
    policy = torch.stack([POLICY[0], POLICY[0].flip(0)])
    found, lengths = lengths_of_bias("group", 3, policy, rewards)
    assert found < 0.95
    assert lengths[1] > 5
    unscaled, lengths = lengths_of_bias("none", 3, policy, rewards)
    assert unscaled > 1 - 1e-12
    assert lengths[1] == pytest.approx(1, abs=1e-9)


def scaled_share(solved, size):
    """What the division by the deviation makes of the gradient of a prompt that is solved with this probability.

    In closed form, for rewards of 0 and 1: k of the G are right with a binomial probability; the mean score of a right
    answer is grad p / p, that of a wrong one - grad p / (1 - p).
    """
    total = 0.0
    for k in range(1, size):
        probability = math.comb(size, k) * solved**k * (1 - solved) ** (size - k)
        deviation = statistics.stdev([1.0] * k + [0.0] * (size - k)) + 1e-4
        right, wrong = k * (1 - k / size) / deviation, (size - k) * (-k / size) / deviation
        total += probability * (right / solved - wrong / (1 - solved)) / size
    return total


def test_std_scaling_overweighs_hard_prompts():
    """The same bias for verified rewards of 0 and 1: groups of one opinion but for one answer are blown up, so a prompt
    that is hardly ever solved (or hardly ever not) outweighs one that is solved half the time."""
    rewards = torch.zeros(PROMPTS, 9, dtype=torch.float64)
    rewards[0, :4] = 1.0
    rewards[1, 0] = 1.0
    policy = torch.stack([torch.zeros(12, dtype=torch.float64), torch.zeros(12, dtype=torch.float64)])
    policy[1, [0, 3]] = -1.5
    solved = [(sequence_log_probs(p).sum(dim=1).exp() * r).sum().item() for p, r in zip(policy, rewards, strict=True)]
    assert solved[0] == pytest.approx(4 / 9)
    assert solved[1] < 0.02
    _, lengths = lengths_of_bias("group", 5, policy, rewards)
    assert lengths[1] == pytest.approx(scaled_share(solved[1], 5) / scaled_share(solved[0], 5), rel=1e-9)
    assert lengths[1] > 1.1
    _, lengths = lengths_of_bias("none", 5, policy, rewards)
    assert lengths[1] == pytest.approx(1, abs=1e-9)
    # In groups of two or three, one deviation fits all that have any: nothing is bent.
    assert scaled_share(0.5, 3) / scaled_share(0.01, 3) == pytest.approx(1, abs=1e-12)
    assert lengths_of_bias("group", 3, policy, rewards)[0] == pytest.approx(1, abs=1e-9)
