"""RLOO: REINFORCE leave-one-out (Ahmadian et al. 2024, "Back to Basics", arXiv 2402.14740; after Kool et al. 2019).

A whole completion is one action. Its baseline is the mean reward of the other G - 1 samples of the prompt, and
the KL to the reference is part of the reward:

    R_i = r_i - beta sum_t ( log pi(o_it) - log pi_ref(o_it) )
    A_i = R_i - 1/(G-1) sum_{j != i} R_j
    grad J = 1/G sum_i A_i grad log pi(o_i | q),      log pi(o_i | q) = sum_t log pi(o_it | q, o_i<t)

The baseline does not depend on the action, so the estimate is unbiased. There is no division by a standard deviation
and none by length. Different from the paper: from the second optimizer step of a batch on, the policy is no longer the
one that sampled, so the sequence's ratio replaces the log, clipped as in PPO (TRL does the same):

    J = 1/G sum_i min( w_i A_i, clip(w_i, 1 - e_low, 1 + e_high) A_i ),    w_i = pi(o_i | q) / pi_old(o_i | q)

With --minibatches 1 --epochs 1 it is plain REINFORCE with this baseline.

    python experiments/run.py --algo rloo --reward staged
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rl import kl
from rl.credit import token_advantages
from rl.learner import Learner
from rl.loss import Totals, row_mean
from rl.options import option
from rl.rollout import Batch, has_spread

ON_POLICY, GROUPED = True, True  # learns from own samples; compares samples of one prompt
DEFAULTS = {}


@dataclass
class Options:
    clip_low: float = option(0.2, "clip range of the ratio below 1", least=0)
    clip_high: float = option(0.2, "clip range of the ratio above 1", least=0)
    kl_coef: float = option(0.0, "weight of the KL to the reference, in the reward; 0 is none", least=0)
    kl_estimator: str = option("k1", "estimator of the KL (rl/kl.py)", choices=kl.ESTIMATORS)

    def check(self, run) -> None:
        """ValueError, one line, for options that contradict each other."""


def leave_one_out_advantages(rewards: Tensor) -> Tensor:
    """A_i of every rollout: (N, G) -> (N, G). A group whose rewards are all equal gets exactly zero.

    Example: rewards [[0, 0, 1]] give [[-0.5, -0.5, 1.0]].
    """
    group_size = rewards.shape[1]
    if group_size < 2:
        raise ValueError(f"--group-size {group_size}: a group of one has no others; needs at least 2")
    others = (rewards.sum(dim=1, keepdim=True) - rewards) / (group_size - 1)  # (N, G)
    spread = has_spread(rewards)[:, None]  # (N, 1)
    return torch.where(spread, rewards - others, 0.0)


def policy_loss(log_probs: Tensor, batch: Batch, totals: Totals, options: Options) -> tuple[Tensor, dict]:
    """-J of the rows given, as their share of the step's mean over rows. log_probs (b, T) carry the gradient."""
    mask, low, high = batch.loss_mask, 1 - options.clip_low, 1 + options.clip_high
    ratio = torch.exp(((log_probs - batch.old_log_probs).detach() * mask).sum(dim=1))  # w_i, (b,)
    mean = row_mean(batch.advantages, mask)  # A_i, (b,)
    # Zero in value, sum_t A_it grad log pi_it in gradient. For one A_i along the row: that of A_i log pi(o_i).
    score = (batch.advantages * (log_probs - log_probs.detach()) * mask).sum(dim=1)  # (b,)
    too_low, too_high = (ratio < low) & (mean < 0), (ratio > high) & (mean > 0)
    clipped = ratio.clamp(low, high) * mean  # without gradient
    surrogate = torch.where(too_low | too_high, clipped, ratio * (mean + score))  # (b,)
    if batch.weights is not None:
        surrogate = surrogate * batch.weights[:, 0]
    loss = -surrogate.sum() / totals.rows
    return loss, {
        "policy_loss": float(loss.detach()),
        "clip_ratio/low_mean": float(too_low.sum()) / totals.rows,
        "clip_ratio/high_mean": float(too_high.sum()) / totals.rows,
        "clip_ratio/region_mean": float((too_low | too_high).sum()) / totals.rows,
        "ratio": ratio,
    }


def train(learner: Learner, collect, log, options: Options) -> None:
    """The loop. `collect(step)` samples, judges and rewards; `log(batch, metrics)` writes down."""
    while learner.step < learner.settings.steps:
        batch = learner.prepare(collect(learner.step), sequence_weights=True)
        rewards, metrics = kl.penalized_rewards(batch, options.kl_estimator, options.kl_coef)  # R_i, (N, G)
        advantages = leave_one_out_advantages(rewards)  # (N, G)
        batch.advantages = token_advantages(advantages, 1.0, batch)  # (B, T)
        log(batch, metrics | learner.update(batch, policy_loss, options))
