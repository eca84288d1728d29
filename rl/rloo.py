"""RLOO: REINFORCE leave-one-out (Ahmadian et al. 2024, "Back to Basics", arXiv 2402.14740; after Kool et al. 2019).

A whole completion is one action. Its baseline is the mean reward of the other G - 1 samples of the prompt, and
the KL to the reference is part of the reward:

    R_i = r_i - beta sum_t ( log pi(o_it) - log pi_ref(o_it) )
    A_i = R_i - 1/(G-1) sum_{j != i} R_j
    grad J = 1/G sum_i A_i grad log pi(o_i | q),      log pi(o_i | q) = sum_t log pi(o_it | q, o_i<t)

The baseline does not depend on the action, so the estimate is unbiased; there is no division by a standard
deviation, and none by length. What differs from the paper: from the second optimizer step of a batch on, the policy
is no longer the one that sampled, so the sequence's ratio takes the place of the log, clipped as in PPO (TRL does the
same). With --minibatches 1 --epochs 1 it is plain REINFORCE:

    J = 1/G sum_i min( w_i A_i, clip(w_i, 1 - e_low, 1 + e_high) A_i ),    w_i = pi(o_i | q) / pi_old(o_i | q)

    python experiments/run.py --algo rloo --reward staged
"""

import torch
from torch import Tensor

from rl import kl
from rl.credit import token_advantages
from rl.learner import Learner
from rl.loss import Totals
from rl.rollout import Batch, has_spread, reward_table

DEFAULTS = {  # the options of run.py that RLOO takes
    "clip_low": 0.2,
    "clip_high": 0.2,
    "kl_coef": 0.0,
    "kl_estimator": "k1",
}


def leave_one_out_advantages(rewards: Tensor) -> Tensor:
    """A_i of every rollout: (N, G) -> (N, G). A group whose rewards are all equal gets exactly zero.

    Example: rewards [[0, 0, 1]] give [[-0.5, -0.5, 1.0]].
    """
    group_size = rewards.shape[1]
    if group_size < 2:
        raise ValueError(f"group-size: {group_size}: a group of one leaves nothing when one is left out")
    others = (rewards.sum(dim=1, keepdim=True) - rewards) / (group_size - 1)  # (N, G)
    spread = has_spread(rewards)[:, None]  # (N, 1)
    return torch.where(spread, rewards - others, 0.0)


def policy_loss(
    log_probs: Tensor,  # (B, T), with gradient
    old_log_probs: Tensor,  # (B, T), of the policy that sampled
    advantages: Tensor,  # (B, T); the same along a row, or the credit of each token
    mask: Tensor,  # (B, T), 1.0 at the tokens that count
    totals: Totals,  # of the whole optimizer step
    *,
    clip_low: float = DEFAULTS["clip_low"],
    clip_high: float = DEFAULTS["clip_high"],
    weights: Tensor | None = None,  # (B, T), truncated importance weights, the same along a row
) -> tuple[Tensor, dict]:
    """-J of the rows given, as their share of the optimizer step's mean over rows; and metrics."""
    lengths = mask.sum(dim=1)  # (B,)
    ratio = torch.exp(((log_probs - old_log_probs).detach() * mask).sum(dim=1))  # w_i, (B,)
    mean = (advantages * mask).sum(dim=1) / lengths.where(lengths > 0, 1)  # A_i, (B,)
    # Zero in value, sum_t A_it grad log pi_it in gradient: for one A_i along the row, that of A_i log pi(o_i).
    score = (advantages * (log_probs - log_probs.detach()) * mask).sum(dim=1)  # (B,)
    too_low = (ratio < 1 - clip_low) & (mean < 0)
    too_high = (ratio > 1 + clip_high) & (mean > 0)
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high) * mean  # without gradient
    surrogate = torch.where(too_low | too_high, clipped, ratio * (mean + score))  # (B,)
    if weights is not None:
        surrogate = surrogate * weights[:, 0]
    loss = -surrogate.sum() / totals.rows
    metrics = {
        "policy_loss": float(loss.detach()),
        "clip_ratio/low_mean": float(too_low.sum()) / totals.rows,
        "clip_ratio/high_mean": float(too_high.sum()) / totals.rows,
        "clip_ratio/region_mean": float((too_low | too_high).sum()) / totals.rows,
        "ratio": ratio,
    }
    return loss, metrics


def train(learner: Learner, collect, log, options) -> None:
    """The loop. `collect(step)` samples, executes and rewards; `log(batch, metrics)` writes down."""

    def loss(log_probs: Tensor, batch: Batch, totals: Totals):
        return policy_loss(
            log_probs,
            batch.old_log_probs,
            batch.advantages,
            batch.loss_mask,
            totals,
            clip_low=options.clip_low,
            clip_high=options.clip_high,
            weights=batch.weights,
        )

    while learner.step < options.steps:
        batch = learner.prepare(collect(learner.step), importance_level="sequence")
        rewards, measured = reward_table(batch.rollouts, options.group_size).to(batch.mask), {}  # r_i, (N, G)
        if options.kl_coef:
            penalty, measured = kl.in_reward(
                options.kl_estimator, batch.old_log_probs, batch.ref_log_probs, batch.mask
            )  # (B, T)
            rewards = rewards - options.kl_coef * penalty.sum(dim=1).view_as(rewards)  # R_i
        advantages = leave_one_out_advantages(rewards)  # (N, G)
        batch.advantages = token_advantages(advantages, 1.0, batch.rollouts, batch.mask)  # (B, T)
        metrics = learner.update(batch, loss)
        log(batch, metrics | measured)
