"""GSPO: group sequence policy optimization (Zheng et al. 2025, arXiv 2507.18071, section 4.1).

As GRPO (rl/grpo.py), but the importance ratio belongs to the whole sequence, as the reward does (eqs. 5 and 7):

    J = 1/G sum_i min( s_i A_i, clip(s_i, 1 - e_low, 1 + e_high) A_i )
    s_i = ( pi(o_i | q) / pi_old(o_i | q) ) ^ (1 / |o_i|) = exp( 1/|o_i| sum_t log r_it )

The power 1/|o_i| keeps s_i of sequences of any length in one range; it is far narrower than a token's, hence the
small clip ranges. Every token of a clipped sequence is left out, so clipping is all or nothing. The advantage
is GRPO's. What is left out: the KL term (the paper leaves it out of its equations, too).

    python experiments/run.py --algo gspo --reward staged
"""

from functools import partial

import torch
from torch import Tensor

from rl.grpo import group_advantages
from rl.learner import Learner, Totals
from rl.rollout import per_token, reward_table

CLIP_LOW, CLIP_HIGH = 3e-4, 4e-4  # the paper's, section 5.1


def policy_loss(
    log_probs: Tensor,  # (B, T), with gradient
    old_log_probs: Tensor,  # (B, T), of the policy that sampled
    advantages: Tensor,  # (B, T), equal along a row
    mask: Tensor,  # (B, T), 1.0 at completion tokens
    totals: Totals,  # of the whole optimizer step
    *,
    clip_low: float = CLIP_LOW,
    clip_high: float = CLIP_HIGH,
) -> tuple[Tensor, dict[str, float]]:
    """-J of the rows given, as their share of the optimizer step's mean over rows."""
    lengths = mask.sum(dim=1)  # (B,)
    advantage = (advantages * mask).sum(dim=1) / lengths  # (B,)
    ratio = torch.exp(((log_probs - old_log_probs) * mask).sum(dim=1) / lengths)  # s_i, (B,)
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    surrogate = torch.minimum(ratio * advantage, clipped * advantage)  # (B,)
    too_low = (ratio < 1 - clip_low) & (advantage < 0)  # where the clip has cut the gradient
    too_high = (ratio > 1 + clip_high) & (advantage > 0)
    metrics = {
        "clip_ratio/low_mean": float(too_low.sum()) / totals.rows,
        "clip_ratio/high_mean": float(too_high.sum()) / totals.rows,
    }
    return -surrogate.sum() / totals.rows, metrics


def train(learner: Learner, collect, log, options) -> None:
    """The loop. `collect(step)` samples, executes and rewards; `log(step, rollouts, metrics)` writes down."""
    loss = partial(policy_loss, clip_low=options.clip_low, clip_high=options.clip_high)
    for step in range(options.steps):
        rollouts = collect(step)
        rewards = reward_table(rollouts, options.group_size)  # (N, G)
        advantages = per_token(group_advantages(rewards, options.scale_rewards), rollouts)  # (B, T)
        metrics = learner.update(step, rollouts, advantages, loss)
        log(step, rollouts, advantages, metrics)
