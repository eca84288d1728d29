"""Estimators of the KL divergence from a reference policy, from the tokens that the policy itself sampled.

With x ~ pi and r = pi_ref(x) / pi(x) (Schulman 2020, http://joschu.net/blog/kl-approx.html):

    k1 = -log r            unbiased; varies much, may be negative
    k2 = (log r)^2 / 2     biased, varies little
    k3 = r - 1 - log r     unbiased, never negative

A good estimate of the value need not have a good gradient. What the expected gradient of a penalty is depends
on where the penalty stands (`tests/rl/test_kl.py` computes each line by enumeration):

    where                                             k1                 k2              k3
    in the loss: gradient through k                   0 (!)              grad KL         grad KL(pi_ref || pi)
    in the loss, times pi / pi_old ("weighted")       grad KL            not KL's        grad KL
    in the reward: a number, gradient through log pi  grad KL            not KL's        grad KL - grad KL(pi_ref || pi)

with KL = KL(pi || pi_ref). So:

* k1 alone in the loss does nothing but add noise: `in_loss` refuses it.
* k2 in the loss, k3 in the loss with its weight (TRL 1.16's default) and k1 in the reward (RLOO, PPO) are
  right. k3 in the loss without a weight is the GRPO paper's choice: it pulls in the opposite KL, which is the same
  to second order near the reference.
* k2 and k3 in the reward punish a token that became *less* likely, too, and so push it down further. Close to the
  reference their pull vanishes to first order. k3 there is what "Domain-Adaptable RL for Code Generation with Dense
  Rewards" (arXiv 2605.21180) does, and is here for that.
"""

import torch
from torch import Tensor

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


def check_in_loss(estimator: str, weighted: bool) -> None:
    """ValueError for the one combination that does nothing."""
    if estimator == "k1" and not weighted:
        raise ValueError(
            "kl-estimator k1 in the loss: its expected gradient is zero, so it would not hold the policy to the "
            "reference; use k2 or k3, weight it (kl-weighted), or put it into the reward (kl-in reward)"
        )


def in_loss(
    estimator: str,
    log_probs: Tensor,  # (B, T), with gradient
    old_log_probs: Tensor,  # (B, T), of the policy that sampled
    ref_log_probs: Tensor,  # (B, T)
    weighted: bool = False,
) -> Tensor:
    """The penalty of every token, (B, T), to be added to the loss; `weighted` by pi / pi_old, with its gradient."""
    check_in_loss(estimator, weighted)
    penalty = estimate(estimator, log_probs, ref_log_probs)
    return penalty * torch.exp(log_probs - old_log_probs) if weighted else penalty


def in_reward(
    estimator: str,
    old_log_probs: Tensor,  # (B, T), of the policy that sampled
    ref_log_probs: Tensor,  # (B, T)
    mask: Tensor,  # (B, T), 1.0 at completion tokens
) -> tuple[Tensor, dict]:
    """What to take from the reward of every token, (B, T), a number without gradient; and its mean as a metric."""
    penalty = estimate(estimator, old_log_probs, ref_log_probs).detach() * mask
    return penalty, {"kl": float(penalty.sum() / mask.sum())}


def adapt_coefficient(coefficient: float, kl: float, target: float, sequences: int, horizon: int) -> float:
    """The adaptive controller of Ziegler et al. 2019 (arXiv 1909.08593), with the horizon of the authors' code.

    `kl` is the mean of a sequence's summed KL in this batch; above the target the coefficient grows, below it
    shrinks, by at most 20 % for `horizon` sequences.
    """
    error = min(max(kl / target - 1.0, -0.2), 0.2)
    return coefficient * (1.0 + error * sequences / horizon)
