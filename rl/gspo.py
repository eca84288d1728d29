"""GSPO: group sequence policy optimization (Zheng et al. 2025, arXiv 2507.18071, section 4.1).

As GRPO (rl/grpo.py), but the importance ratio belongs to the whole sequence, as the reward does (eqs. 5 and 7):

    J = 1/G sum_i min( s_i A_i, clip(s_i, 1 - e_low, 1 + e_high) A_i )
    s_i = ( pi(o_i | q) / pi_old(o_i | q) ) ^ (1 / |o_i|) = exp( 1/|o_i| sum_t log r_it )

The power 1/|o_i| keeps s_i of sequences of any length in one range; it is far narrower than a token's, hence the
small clip ranges. Every token of a clipped sequence is left out, so clipping is all or nothing. The advantage
is GRPO's. GSPO-token (section 4.3, eqs. 13 and 14; --ratio-level token) lets the advantage differ from token to
token:

    J = 1/G sum_i 1/|o_i| sum_t min( s_it A_it, clip(s_it, 1 - e_low, 1 + e_high) A_it )
    s_it = sg[s_i] pi(o_it | ..) / sg[pi(o_it | ..)]          (sg: no gradient)

The value of s_it is s_i's; where A_it is the same for all tokens, so is the gradient. Credit per token (rl/credit.py)
is for level token: at sequence level, advantages that differ are averaged over the row, so that what was located
changes nothing, and of the shares only their mean acts, as a factor of A_i. The loss is a mean over sequences, always:
another normaliser would weigh s_i by length. A KL term, which the paper leaves out of its equations, is there if asked
for; it is of tokens, and so is its weight (--kl-weighted).

    python experiments/run.py --algo gspo --reward staged
"""

import torch
from torch import Tensor

from rl import grpo, kl
from rl.credit import token_advantages
from rl.grpo import group_advantages, reward_scale
from rl.learner import Learner
from rl.loss import Totals, normalize
from rl.rollout import Batch, reward_table

DEFAULTS = grpo.DEFAULTS | {  # the options of run.py that GSPO takes
    "clip_low": 3e-4,  # the paper's, section 5.1
    "clip_high": 4e-4,
    "ratio_level": "sequence",
}
del DEFAULTS["loss_normalizer"]
LEVELS = ("sequence", "token")


def policy_loss(
    log_probs: Tensor,  # (B, T), with gradient
    old_log_probs: Tensor,  # (B, T), of the policy that sampled
    advantages: Tensor,  # (B, T)
    mask: Tensor,  # (B, T), 1.0 at the tokens that count
    totals: Totals,  # of the whole optimizer step
    *,
    clip_low: float = DEFAULTS["clip_low"],
    clip_high: float = DEFAULTS["clip_high"],
    level: str = DEFAULTS["ratio_level"],
    weights: Tensor | None = None,  # (B, T), truncated importance weights
    ref_log_probs: Tensor | None = None,  # (B, T), needed if kl_coef is not 0
    kl_coef: float = 0.0,
    kl_estimator: str = DEFAULTS["kl_estimator"],
    kl_weighted: bool = False,
) -> tuple[Tensor, dict]:
    """-J of the rows given, as their share of the optimizer step's mean over rows; and metrics."""
    lengths = mask.sum(dim=1, keepdim=True)
    lengths = lengths.where(lengths > 0, 1)  # (B, 1); a row that is masked out counts as 0 in the mean
    log_ratio = ((log_probs - old_log_probs) * mask).sum(dim=1, keepdim=True) / lengths  # log s_i, (B, 1)
    if level == "sequence":
        advantages = (advantages * mask).sum(dim=1, keepdim=True) / lengths  # (B, 1)
    elif level == "token":
        log_ratio = log_ratio.detach() + log_probs - log_probs.detach()  # log s_it, (B, T)
    else:
        raise ValueError(f"ratio-level: unknown {level!r}; there are {', '.join(LEVELS)}")
    ratio = torch.exp(log_ratio)  # s_i (B, 1) or s_it (B, T)
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    per_token = -torch.minimum(ratio * advantages, clipped * advantages).expand_as(mask)  # (B, T)
    if weights is not None:
        per_token = per_token * weights
    too_low = ((ratio < 1 - clip_low) & (advantages < 0)).expand_as(mask)  # where the clip has cut the gradient
    too_high = ((ratio > 1 + clip_high) & (advantages > 0)).expand_as(mask)
    loss = normalize(per_token, mask, totals, "sequence-mean")
    metrics = {
        "policy_loss": float(loss.detach()),
        "clip_ratio/low_mean": float(normalize(too_low.float(), mask, totals, "sequence-mean")),
        "clip_ratio/high_mean": float(normalize(too_high.float(), mask, totals, "sequence-mean")),
        "clip_ratio/region_mean": float(normalize((too_low | too_high).float(), mask, totals, "sequence-mean")),
        "ratio": ratio[:, 0],
    }
    if kl_coef:
        penalty = kl.in_loss(kl_estimator, log_probs, old_log_probs, ref_log_probs, kl_weighted)  # (B, T)
        loss = loss + kl_coef * normalize(penalty, mask, totals, "sequence-mean")
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
            level=options.ratio_level,
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
