"""GRPO: group relative policy optimization (Shao et al. 2024, DeepSeekMath, arXiv 2402.03300, section 4.1).

For each prompt a group of G completions o_1 .. o_G is sampled and rewarded with R_1 .. R_G. Then (eq. 3, with
the outcome supervision of section 4.1.2)

    J = 1/G sum_i 1/|o_i| sum_t { min( r_it A_i, clip(r_it, 1 - e_low, 1 + e_high) A_i ) - beta KL_it }
    r_it = pi(o_it | q, o_i<t) / pi_old(o_it | q, o_i<t)
    A_i  = (R_i - mean(R)) / std(R)

and the loss is -J, averaged over the prompts of an optimizer step. A_i may differ from token to token (rl/credit.py).
Variants:

    DAPO (Yu et al. 2025, arXiv 2503.14476)           --loss-normalizer token-mean --clip-high 0.28
                                                      --zero-spread resample --reward "staged + length(buffer=20)"
    Dr. GRPO (Liu et al. 2025, arXiv 2503.20783)      --loss-normalizer constant --scale-rewards none
    KL to the reference, the paper's own              --kl-coef 0.04 --kl-estimator k3

What differs from the paper when nothing is asked for: beta is 0, so there is no reference; e_high is DAPO's. What is
left out: process supervision (section 4.1.3) and the iterated reward model, as rewards here are verified, not learned.

    python experiments/run.py --algo grpo --reward staged
"""

import torch
from torch import Tensor

from rl import kl
from rl.credit import token_advantages
from rl.learner import Learner
from rl.loss import Totals, normalize
from rl.rollout import Batch, has_spread, reward_table

DEFAULTS = {  # the options of run.py that GRPO takes
    "clip_low": 0.2,
    "clip_high": 0.28,
    "scale_rewards": "group",
    "loss_normalizer": "sequence-mean",
    "kl_coef": 0.0,
    "kl_estimator": "k3",
    "kl_in": "loss",
    "kl_weighted": False,
}
SCALES = ("group", "batch", "none")


def group_advantages(rewards: Tensor, scale: str = "group") -> Tensor:
    """A_i of every rollout: (N, G) -> (N, G). A group whose rewards are all equal gets exactly zero.

    Example: rewards [[0, 0, 1]] give [[-0.58, -0.58, 1.15]], and [[-0.33, -0.33, 0.67]] with scale "none".
    """
    if rewards.shape[1] < 2:
        raise ValueError(f"group-size: {rewards.shape[1]}: a group of one has no mean to differ from")
    centered = rewards - rewards.mean(dim=1, keepdim=True)  # (N, G)
    spread = has_spread(rewards)[:, None]  # (N, 1)
    return torch.where(spread, centered / reward_scale(rewards, scale), 0.0)


def reward_scale(rewards: Tensor, scale: str) -> Tensor:
    """What the centred rewards are divided by: (N, G) -> (N, 1).

    Scale "group" is the group's standard deviation, "batch" that of all N x G rewards, "none" is 1. It is the unbiased
    one (divisor G - 1), as in the authors' and TRL's code. Dividing by the group's weighs prompts by how nearly
    unanimous their group is: the expected gradient is then no longer that of the expected reward.
    """
    if scale == "group":
        return rewards.std(dim=1, keepdim=True) + 1e-4
    if scale == "batch":
        return (rewards.std() + 1e-4).expand(len(rewards), 1)
    if scale == "none":
        return rewards.new_ones(len(rewards), 1)
    raise ValueError(f"scale-rewards: unknown scale {scale!r}; there are {', '.join(SCALES)}")


def policy_loss(
    log_probs: Tensor,  # (B, T), with gradient
    old_log_probs: Tensor,  # (B, T), of the policy that sampled
    advantages: Tensor,  # (B, T)
    mask: Tensor,  # (B, T), 1.0 at the tokens that count
    totals: Totals,  # of the whole optimizer step
    *,
    clip_low: float = DEFAULTS["clip_low"],
    clip_high: float = DEFAULTS["clip_high"],
    normalizer: str = DEFAULTS["loss_normalizer"],
    weights: Tensor | None = None,  # (B, T), truncated importance weights
    ref_log_probs: Tensor | None = None,  # (B, T), needed if kl_coef is not 0
    kl_coef: float = 0.0,
    kl_estimator: str = DEFAULTS["kl_estimator"],
    kl_weighted: bool = False,
) -> tuple[Tensor, dict]:
    """-J of the rows given, as their share of the optimizer step's mean; and metrics."""
    ratio = torch.exp(log_probs - old_log_probs)  # r_it, (B, T)
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    per_token = -torch.minimum(ratio * advantages, clipped * advantages)  # (B, T)
    if weights is not None:
        per_token = per_token * weights
    too_low = (ratio < 1 - clip_low) & (advantages < 0) & mask.bool()  # where the clip has cut the gradient
    too_high = (ratio > 1 + clip_high) & (advantages > 0) & mask.bool()
    loss = normalize(per_token, mask, totals, normalizer)
    metrics = {
        "policy_loss": float(loss.detach()),
        "clip_ratio/low_mean": float(too_low.sum()) / totals.tokens,
        "clip_ratio/high_mean": float(too_high.sum()) / totals.tokens,
        "clip_ratio/region_mean": float((too_low | too_high).sum()) / totals.tokens,
        "ratio": ratio[mask.bool()],
    }
    if kl_coef:
        penalty = kl.in_loss(kl_estimator, log_probs, old_log_probs, ref_log_probs, kl_weighted)  # (B, T)
        loss = loss + kl_coef * normalize(penalty, mask, totals, normalizer)
        metrics["kl"] = float((penalty.detach() * mask).sum()) / totals.tokens
    return loss, metrics


def train(learner: Learner, collect, log, options) -> None:
    """The loop. `collect(step)` samples, executes and rewards; `log(batch, metrics)` writes down."""
    kl_in_loss = options.kl_coef if options.kl_in == "loss" else 0.0

    def loss(log_probs: Tensor, batch: Batch, totals: Totals):
        return policy_loss(
            log_probs,
            batch.old_log_probs,
            batch.advantages,
            batch.loss_mask,
            totals,
            clip_low=options.clip_low,
            clip_high=options.clip_high,
            normalizer=options.loss_normalizer,
            weights=batch.weights,
            ref_log_probs=batch.ref_log_probs,
            kl_coef=kl_in_loss,
            kl_estimator=options.kl_estimator,
            kl_weighted=options.kl_weighted,
        )

    while learner.step < options.steps:
        batch = learner.prepare(collect(learner.step))
        rewards, measured = reward_table(batch.rollouts, options.group_size).to(batch.mask), {}  # R_i, (N, G)
        if options.kl_coef and options.kl_in == "reward":
            penalty, measured = kl.in_reward(
                options.kl_estimator, batch.old_log_probs, batch.ref_log_probs, batch.mask
            )  # (B, T)
            rewards = rewards - options.kl_coef * penalty.sum(dim=1).view_as(rewards)
        advantages = group_advantages(rewards, options.scale_rewards)  # (N, G)
        scale = reward_scale(rewards, options.scale_rewards)  # (N, 1)
        batch.advantages = token_advantages(advantages, scale, batch.rollouts, batch.mask)  # (B, T)
        metrics = learner.update(batch, loss, every_row=kl_in_loss > 0)
        log(batch, metrics | measured)
