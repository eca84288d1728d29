"""The KL estimators on a policy over three symbols: every expectation is a sum over the symbols, none is sampled."""

import math
from types import SimpleNamespace

import pytest
import torch

from rl import grpo, gspo, kl, ppo
from rl.rollout import Batch, Rollout

LOGITS = torch.tensor([0.9, -1.1, 0.2], dtype=torch.float64)
REFERENCE = torch.tensor([-0.6, 0.5, 0.4], dtype=torch.float64).log_softmax(0)
OTHER = torch.tensor([0.1, 0.3, -0.8], dtype=torch.float64).log_softmax(0)  # a policy that sampled, off-policy


def forward_kl(log_probs, reference):
    """KL(pi || pi_ref), from its definition."""
    return (log_probs.exp() * (log_probs - reference)).sum()


def reverse_kl(log_probs, reference):
    """KL(pi_ref || pi)."""
    return (reference.exp() * (reference - log_probs)).sum()


def gradient_of(closed_form, logits=LOGITS, reference=REFERENCE):
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(closed_form(logits.log_softmax(0), reference), logits)[0]


def expected_gradient(place, estimator, logits=LOGITS, reference=REFERENCE, old=None):
    """What a penalty does to the logits: sum over x of pi_old(x) times the gradient if x was sampled."""
    logits = logits.clone().requires_grad_()
    log_probs = logits.log_softmax(0)[:, None]  # (3, 1): each symbol is a completion of one token
    old = log_probs.detach() if old is None else old[:, None]
    batch = batch_of(old, reference[:, None])
    if place == "reward":
        penalty, _ = kl.in_reward(batch, estimator)
        surrogate = penalty * log_probs
    else:
        surrogate = kl.in_loss(log_probs, batch, options_of(estimator, weighted=place == "weighted loss"))
    return torch.autograd.grad((old.exp() * surrogate).sum(), logits)[0]


def batch_of(old, reference, mask=None, rollouts=()):
    """What a penalty needs of a batch: log-probabilities of the policy that sampled, and the reference's, (B, T)."""
    mask = torch.ones_like(old) if mask is None else mask
    return Batch(list(rollouts), mask, mask, old, old, ref_log_probs=reference)


def options_of(estimator, weighted=False, place="loss"):
    return SimpleNamespace(kl_coef=0.5, kl_estimator=estimator, kl_in=place, kl_weighted=weighted)


def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_k1_and_k3_expect_the_true_kl(estimator):
    """A reversed sign or the KL of the other direction: both vanish at the reference, so a curve looks right."""
    log_probs = LOGITS.log_softmax(0)
    expected = (log_probs.exp() * kl.estimate(estimator, log_probs, REFERENCE)).sum()
    assert expected.item() == pytest.approx(forward_kl(log_probs, REFERENCE).item(), abs=1e-12)
    assert abs(expected.item() - reverse_kl(log_probs, REFERENCE).item()) > 0.01


def test_k2_is_biased_by_a_known_amount():
    """k2 taken for unbiased, or without its factor of a half.

    pi = (1/2, 1/4, 1/4) and pi_ref = (1/4, 1/4, 1/2) have log-ratios ln 2, 0 and -ln 2: the KL is ln 2 / 4, but k2
    expects (1/2 + 1/4) (ln 2)^2 / 2.
    """
    log_probs = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64).log()
    reference = torch.tensor([0.25, 0.25, 0.5], dtype=torch.float64).log()
    expected = (log_probs.exp() * kl.estimate("k2", log_probs, reference)).sum().item()
    assert expected == pytest.approx(3 / 8 * math.log(2) ** 2, abs=1e-15)
    assert expected - math.log(2) / 4 == pytest.approx(0.0068831, abs=1e-7)


def test_estimates_of_one_token():
    """Estimators mixed up: policy 0.2, reference 0.4, so r = 2."""
    log_prob, reference = torch.tensor([[math.log(0.2)]]), torch.tensor([[math.log(0.4)]])
    assert kl.estimate("k1", log_prob, reference).item() == pytest.approx(-math.log(2))
    assert kl.estimate("k2", log_prob, reference).item() == pytest.approx(math.log(2) ** 2 / 2)
    assert kl.estimate("k3", log_prob, reference).item() == pytest.approx(1 - math.log(2))


def test_k3_keeps_its_digits_near_the_reference():
    """exp(x) - 1 - x in float32 is all round-off where a run begins: x = 1e-4 has k3 = 5e-9."""
    value = kl.estimate("k3", torch.tensor([[0.0]]), torch.tensor([[1e-4]]))
    assert value.item() == pytest.approx(5e-9, rel=1e-2)


def test_unknown_estimator_is_an_error():
    """A misspelled estimator that silently becomes another one."""
    with pytest.raises(ValueError, match="kl-estimator: unknown 'k4'.*k1, k2, k3"):
        kl.estimate("k4", LOGITS, REFERENCE)


# the table of rl/kl.py, cell by cell -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "estimator", "closed_form"),
    [
        ("loss", "k1", lambda p, ref: 0 * p.sum()),
        ("loss", "k2", forward_kl),
        ("loss", "k3", reverse_kl),
        ("weighted loss", "k1", forward_kl),
        ("weighted loss", "k3", forward_kl),
        ("reward", "k1", forward_kl),
        ("reward", "k3", lambda p, ref: forward_kl(p, ref) - reverse_kl(p, ref)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_expected_gradient_is_the_one_in_the_table(place, estimator, closed_form):
    """An estimator in a place where it pulls elsewhere than the docstring says; a lost or a doubled score term."""
    torch.testing.assert_close(expected_gradient(place, estimator), gradient_of(closed_form), rtol=0, atol=1e-12)


@pytest.mark.parametrize("place", ["weighted loss", "reward"])
def test_k2_elsewhere_is_the_gradient_of_no_kl(place):
    """The two cells of k2 that say "not KL's": they equal their own closed form, and that points elsewhere."""
    log_probs = LOGITS.log_softmax(0)
    probs, log_ratio = log_probs.exp(), log_probs - REFERENCE
    weight = log_ratio**2 / 2  # in the reward: the score of x times k2(x)
    if place == "weighted loss":
        weight = weight + log_ratio  # and the gradient through k2 itself
    own = probs * (weight - (probs * weight).sum())  # sum over x of pi(x) weight(x) (onehot(x) - pi)
    found = expected_gradient(place, "k2")
    torch.testing.assert_close(found, own, rtol=0, atol=1e-12)
    for closed_form in (forward_kl, reverse_kl):
        true = gradient_of(closed_form)
        assert (found - true).norm() > 0.2 * true.norm()
    assert cosine(found, gradient_of(forward_kl)) < 0.99  # no coefficient would mend it


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_weighted_loss_is_right_off_policy(estimator):
    """A weight without its gradient, or upside down: on-policy it is 1, and only its gradient would tell."""
    found = expected_gradient("weighted loss", estimator, old=OTHER)
    torch.testing.assert_close(found, gradient_of(forward_kl), rtol=0, atol=1e-12)


def test_unweighted_loss_is_wrong_off_policy():
    """Why the weight exists: k2 on samples of another policy no longer has the gradient of the KL."""
    logits = LOGITS.clone().requires_grad_()
    batch = batch_of(OTHER[:, None], REFERENCE[:, None])
    penalty = kl.in_loss(logits.log_softmax(0)[:, None], batch, options_of("k2"))
    (found,) = torch.autograd.grad((OTHER.exp()[:, None] * penalty).sum(), logits)
    assert (found - gradient_of(forward_kl)).norm() > 0.2 * gradient_of(forward_kl).norm()


def test_k3_in_the_reward_hardly_pulls_near_the_reference():
    """The claim that k3 in the reward loses its pull: at half the distance it is a quarter, where the KL's is half."""
    direction = torch.tensor([1.0, -0.4, 0.3], dtype=torch.float64)

    def shrinkage(gradient_at):
        return (
            gradient_at(REFERENCE + 0.002 * direction).norm() / gradient_at(REFERENCE + 0.001 * direction).norm()
        ).item()

    assert shrinkage(lambda logits: gradient_of(forward_kl, logits)) == pytest.approx(2, rel=0.01)
    assert shrinkage(lambda logits: expected_gradient("reward", "k1", logits)) == pytest.approx(2, rel=0.01)
    assert shrinkage(lambda logits: expected_gradient("reward", "k3", logits)) == pytest.approx(4, rel=0.01)
    assert shrinkage(lambda logits: expected_gradient("reward", "k2", logits)) == pytest.approx(4, rel=0.01)


def test_k1_in_the_loss_is_refused_with_the_ways_out():
    """An anchor that does nothing but add noise, accepted in silence."""
    with pytest.raises(ValueError, match="--kl-estimator k1.*expected gradient is zero") as error:
        kl.check(options_of("k1"))
    for way_out in ("k2", "k3", "kl-weighted", "kl-in reward"):
        assert way_out in str(error.value)
    for estimator, weighted in (("k1", True), ("k2", False), ("k2", True), ("k3", False), ("k3", True)):
        kl.check(options_of(estimator, weighted))
    kl.check(options_of("k1", place="reward"))


@pytest.mark.parametrize("algorithm", [grpo, gspo, ppo])
def test_algorithms_with_a_kl_in_the_loss_check_it(algorithm):
    """An algorithm's own check that forgets the common one: noise in its loss, or a weight on nothing."""
    run = SimpleNamespace(credit="uniform", minibatches=2, epochs=1)
    with pytest.raises(ValueError, match="expected gradient is zero"):
        algorithm.Options(kl_coef=0.1, kl_in="loss", kl_estimator="k1").check(run)
    for options in ({"kl_coef": 0.0, "kl_in": "loss"}, {"kl_coef": 0.1, "kl_in": "reward"}):
        with pytest.raises(ValueError, match="--kl-weighted: there is no KL in the loss"):
            algorithm.Options(kl_weighted=True, **options).check(run)
    algorithm.Options(kl_coef=0.1, kl_in="loss", kl_estimator="k1", kl_weighted=True).check(run)
    algorithm.Options().check(run)


# in the reward ---------------------------------------------------------------------------------------------


def test_penalty_in_the_reward_is_a_number():
    """A gradient through the penalty, or padding that is penalised and counted in the mean."""
    log_probs = torch.tensor([[-1.0, -2.0, -9.0], [-0.5, -7.0, -8.0]], dtype=torch.float64, requires_grad=True)
    reference = torch.tensor([[-1.5, -1.0, 0.0], [-0.7, 0.0, 0.0]], dtype=torch.float64)
    mask = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
    penalty, metrics = kl.in_reward(batch_of(log_probs, reference, mask), "k1")
    assert not penalty.requires_grad
    torch.testing.assert_close(penalty, torch.tensor([[0.5, -1.0, 0.0], [0.2, 0.0, 0.0]], dtype=torch.float64))
    assert metrics == {"kl": pytest.approx((0.5 - 1.0 + 0.2) / 3)}


def test_penalized_rewards_are_rewards_less_the_whole_completions_kl():
    """A KL with the wrong sign, a mean over tokens in place of the sum, another row's; a reference needed for beta 0.

    Two prompts of two completions; the KLs of their tokens, k1, sum to 0.5, -0.25, 1.0 and 0.0.
    """
    gaps = torch.tensor([[0.5, 7.0], [0.25, -0.5], [0.75, 0.25], [0.0, 7.0]], dtype=torch.float64)
    mask = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    rewards = [1.0, 0.5, 0.0, 0.25]
    rollouts = [
        Rollout(i // 2, i % 2, [3], [4] * int(row.sum()), [], "eos", "", reward=reward)
        for i, (row, reward) in enumerate(zip(mask, rewards, strict=True))
    ]
    found, metrics = kl.penalized_rewards(batch_of(gaps - 1, torch.full_like(gaps, -1), mask, rollouts), "k1", 0.5)
    assert found.tolist() == [[0.75, 0.625], [-0.5, 0.25]]
    assert metrics == {"kl": pytest.approx(1.25 / 6)}
    found, metrics = kl.penalized_rewards(batch_of(gaps, None, mask, rollouts), "k1", 0.0)
    assert (found.tolist(), metrics) == ([[1.0, 0.5], [0.0, 0.25]], {})


@pytest.mark.parametrize(
    ("kl_value", "sequences", "expected"),
    [
        (6.6, 64, 0.1 * (1 + 0.1 * 64 / 1000)),  # 10 % above the target of 6
        (5.4, 64, 0.1 * (1 - 0.1 * 64 / 1000)),  # 10 % below
        (60.0, 64, 0.1 * (1 + 0.2 * 64 / 1000)),  # far above: clipped at 20 %
        (-3.0, 64, 0.1 * (1 - 0.2 * 64 / 1000)),  # k1 may be negative: clipped, too
        (6.0, 64, 0.1),  # at the target
        (6.6, 1000, 0.11),  # a whole horizon
    ],
)
def test_adaptive_coefficient_is_that_of_ziegler(kl_value, sequences, expected):
    """A controller that runs away from its target (sign), or by leaps (no clip, no horizon)."""
    assert kl.adapt_coefficient(0.1, kl_value, 6.0, sequences, 1000) == pytest.approx(expected, rel=1e-12)
