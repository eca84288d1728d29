"""GRPO: group relative policy optimization (Shao et al. 2024, DeepSeekMath, arXiv 2402.03300, section 4.1).

For each prompt a group of G completions o_1 .. o_G is sampled and rewarded with R_1 .. R_G. Then (eq. 3, with
the outcome supervision of section 4.1.2)

    J = 1/G sum_i 1/|o_i| sum_t min( r_it A_i, clip(r_it, 1 - e_low, 1 + e_high) A_i )
    r_it = pi(o_it | q, o_i<t) / pi_old(o_it | q, o_i<t)
    A_i  = (R_i - mean(R)) / std(R)

and the loss is -J, averaged over the prompts of an optimizer step. What is left out, and what differs:

1. No KL term to a reference policy (the paper's beta is 0).
2. Two clip ranges, as in DAPO (Yu et al. 2025, arXiv 2503.14476, eq. 10); with equal ones it is the paper's.
3. std(R) may be left out (Liu et al. 2025, "Dr. GRPO", arXiv 2503.20783), by name: scale "group" or "none".

    python experiments/run.py --algo grpo --reward staged
"""

from functools import partial

import torch
from torch import Tensor

from rl.learner import Learner, Totals
from rl.rollout import per_token, reward_table

CLIP_LOW, CLIP_HIGH = 0.2, 0.28  # the paper's 0.2 below, DAPO's above


def group_advantages(rewards: Tensor, scale: str = "group") -> Tensor:
    """A_i of every rollout: (N, G) -> (N, G). A group whose rewards are all equal gets exactly zero.

    The standard deviation is the unbiased one (divisor G - 1), as in the authors' and TRL's code.

    Example: rewards [[0, 0, 1]] give [[-0.58, -0.58, 1.15]], and [[-0.33, -0.33, 0.67]] with scale "none".
    """
    if rewards.shape[1] < 2:
        raise ValueError(f"group-size: {rewards.shape[1]}: a group of one has no mean to differ from")
    centered = rewards - rewards.mean(dim=1, keepdim=True)  # (N, G)
    # Equality is tested on the rewards themselves: a mean of equal floats may differ from them in the last bit.
    spread = (rewards != rewards[:, :1]).any(dim=1, keepdim=True)  # (N, 1)
    if scale == "group":
        centered = centered / (rewards.std(dim=1, keepdim=True) + 1e-4)
    elif scale != "none":
        raise ValueError(f"scale-rewards: unknown scale {scale!r}; there are group, none")
    return torch.where(spread, centered, 0.0)


def policy_loss(
    log_probs: Tensor,  # (B, T), with gradient
    old_log_probs: Tensor,  # (B, T), of the policy that sampled
    advantages: Tensor,  # (B, T)
    mask: Tensor,  # (B, T), 1.0 at completion tokens
    totals: Totals,  # of the whole optimizer step
    *,
    clip_low: float = CLIP_LOW,
    clip_high: float = CLIP_HIGH,
) -> tuple[Tensor, dict[str, float]]:
    """-J of the rows given, as their share of the optimizer step's mean over rows."""
    ratio = torch.exp(log_probs - old_log_probs)  # (B, T)
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    surrogate = torch.minimum(ratio * advantages, clipped * advantages)  # (B, T)
    per_row = (surrogate * mask).sum(dim=1) / mask.sum(dim=1)  # (B,)
    too_low = (ratio < 1 - clip_low) & (advantages < 0) & mask.bool()  # where the clip has cut the gradient
    too_high = (ratio > 1 + clip_high) & (advantages > 0) & mask.bool()
    metrics = {
        "clip_ratio/low_mean": float(too_low.sum()) / totals.tokens,
        "clip_ratio/high_mean": float(too_high.sum()) / totals.tokens,
    }
    return -per_row.sum() / totals.rows, metrics


def train(learner: Learner, collect, log, options) -> None:
    """The loop. `collect(step)` samples, executes and rewards; `log(step, rollouts, metrics)` writes down."""
    loss = partial(policy_loss, clip_low=options.clip_low, clip_high=options.clip_high)
    for step in range(options.steps):
        rollouts = collect(step)
        rewards = reward_table(rollouts, options.group_size)  # (N, G)
        advantages = per_token(group_advantages(rewards, options.scale_rewards), rollouts)  # (B, T)
        metrics = learner.update(step, rollouts, advantages, loss)
        log(step, rollouts, advantages, metrics)
