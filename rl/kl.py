"""Estimators of the KL divergence from a reference policy, on tokens that the policy itself sampled.

With x ~ pi and r = pi_ref(x) / pi(x) (Schulman 2020, http://joschu.net/blog/kl-approx.html):

    k1 = -log r            unbiased; high variance, may be negative
    k2 = (log r)^2 / 2     biased, low variance
    k3 = r - 1 - log r     unbiased, never negative

A good estimate of the value need not have a good gradient. The expected gradient of a penalty depends on its place
(`tests/rl/test_kl.py` computes each line by enumeration), with KL = KL(pi || pi_ref):

    place                                             k1                 k2              k3
    in the loss: gradient through k                   0 (!)              grad KL         grad KL(pi_ref || pi)
    in the loss, times pi / pi_old ("weighted")       grad KL            not KL's        grad KL
    in the reward: a number, gradient through log pi  grad KL            not KL's        grad KL - grad KL(pi_ref || pi)

* k1 alone in the loss only adds noise: it is refused.
* k2 in the loss, k3 in the loss with its weight (TRL 1.16's default) and k1 in the reward (RLOO, PPO) are right. k3 in
  the loss without a weight is the GRPO paper's choice: its gradient is that of the opposite KL, equal to second order
  near the reference.
* k2 and k3 in the reward also punish a token that became *less* likely, and push it down further. Near the reference
  their effect vanishes to first order. "Domain-Adaptable RL for Code Generation with Dense Rewards" (arXiv 2605.21180)
  uses k3 in the reward.
"""

import torch
from torch import Tensor

from rl.rollout import Batch, reward_table

ESTIMATORS = ("k1", "k2", "k3")


def estimate(estimator: str, log_probs: Tensor, ref_log_probs: Tensor) -> Tensor:
    """The estimate at every token, in nats: log-probabilities (B, T) of the sampled tokens -> (B, T)."""
    log_r = ref_log_probs - log_probs  # (B, T)
    if estimator == "k1":
        return -log_r
    if estimator == "k2":
        return log_r**2 / 2
    if estimator == "k3":
        return torch.expm1(log_r) - log_r
    raise ValueError(f"kl-estimator: unknown {estimator!r}; there are {', '.join(ESTIMATORS)}")


def check(options) -> None:
    """ValueError for a combination of kl_coef, kl_estimator, kl_in and kl_weighted that has no effect."""
    in_loss = options.kl_coef > 0 and options.kl_in == "loss"
    if options.kl_weighted and not in_loss:
        raise ValueError("--kl-weighted: there is no KL in the loss; it needs --kl-coef and --kl-in loss")
    if in_loss and options.kl_estimator == "k1" and not options.kl_weighted:
        raise ValueError(
            "--kl-estimator k1: in the loss its expected gradient is zero, so it does not hold the policy to the "
            "reference; use k2 or k3, --kl-weighted, or --kl-in reward"
        )


def in_loss(log_probs: Tensor, batch: Batch, options) -> Tensor:
    """KL_it of every token, (B, T), with gradient; with options.kl_weighted times pi / pi_old."""
    penalty = estimate(options.kl_estimator, log_probs, batch.ref_log_probs)
    return penalty * torch.exp(log_probs - batch.old_log_probs) if options.kl_weighted else penalty


def in_reward(batch: Batch, estimator: str) -> tuple[Tensor, dict]:
    """KL_it of every token, (B, T), without gradient, 0 at the padding; and its mean as a metric."""
    penalty = estimate(estimator, batch.old_log_probs, batch.ref_log_probs).detach() * batch.mask
    return penalty, {"kl": float(penalty.sum() / batch.mask.sum())}


def penalized_rewards(batch: Batch, estimator: str, coefficient: float) -> tuple[Tensor, dict]:
    """R_i = r_i - beta sum_t KL_it, (N, G), and the KL as a metric. beta = 0 needs no reference."""
    rewards = reward_table(batch.rollouts).to(batch.mask)  # r_i, (N, G)
    if not coefficient:
        return rewards, {}
    penalty, metrics = in_reward(batch, estimator)  # (B, T)
    return rewards - coefficient * penalty.sum(dim=1).view_as(rewards), metrics


def adapt_coefficient(coefficient: float, kl: float, target: float, sequences: int, horizon: int) -> float:
    """The adaptive controller of Ziegler et al. 2019 (arXiv 1909.08593), with the horizon of the authors' code.

    `kl` is the batch's mean of a sequence's summed KL. Above the target the coefficient grows, below it shrinks, by at
    most 20 % in `horizon` sequences.
    """
    error = min(max(kl / target - 1.0, -0.2), 0.2)
    return coefficient * (1.0 + error * sequences / horizon)
