"""GSPO: group sequence policy optimization (Zheng et al. 2025, arXiv 2507.18071, section 4.1).

As GRPO (rl/grpo.py), but the importance ratio belongs to the whole sequence, as the reward does (eqs. 5 and 7):

    J = 1/G sum_i min( s_i A_i, clip(s_i, 1 - e_low, 1 + e_high) A_i )
    s_i = ( pi(o_i | q) / pi_old(o_i | q) ) ^ (1 / |o_i|) = exp( 1/|o_i| sum_t log r_it )

The power 1/|o_i| keeps s_i of sequences of any length in one range. It is far narrower than a token's range, hence the
small clip ranges. A clipped sequence loses all its tokens. The advantage is GRPO's. GSPO-token (section 4.3, eqs. 13
and 14; --ratio-level token) lets the advantage differ from token to token:

    J = 1/G sum_i 1/|o_i| sum_t min( s_it A_it, clip(s_it, 1 - e_low, 1 + e_high) A_it )
    s_it = sg[s_i] pi(o_it | ..) / sg[pi(o_it | ..)]          (sg: no gradient)

The value of s_it is s_i's. Where A_it is the same for all tokens, so is the gradient. Credit per token (rl/credit.py)
needs level token: at sequence level only the row's mean advantage acts. The loss is always a mean over sequences:
another normaliser would weigh s_i by length. The paper has no KL term; ours is per token, and so is its weight
(--kl-weighted).

    python experiments/run.py --algo gspo --reward staged
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rl import kl
from rl.credit import token_advantages
from rl.grpo import SCALES, group_advantages
from rl.learner import Learner
from rl.loss import Totals, normalize, row_mean
from rl.options import option
from rl.rollout import Batch

ON_POLICY, GROUPED = True, True  # learns from own samples; compares samples of one prompt
DEFAULTS = {}
LEVELS = ("sequence", "token")


@dataclass
class Options:
    clip_low: float = option(3e-4, "clip range of the ratio below 1 (the paper's, section 5.1)", least=0)
    clip_high: float = option(4e-4, "clip range of the ratio above 1", least=0)
    scale_rewards: str = option("group", "what std advantages are divided by", choices=SCALES)
    ratio_level: str = option("sequence", "ratio of the whole sequence, or GSPO-token's", choices=LEVELS)
    kl_coef: float = option(0.0, "weight of the KL to the reference; 0 is none", least=0)
    kl_estimator: str = option("k3", "estimator of the KL (rl/kl.py)", choices=kl.ESTIMATORS)
    kl_in: str = option("loss", "where the KL stands", choices=("loss", "reward"))
    kl_weighted: bool = option(False, "weight the KL in the loss by the ratio: an unbiased gradient")

    def check(self, run) -> None:
        """ValueError, one line, for options that contradict each other."""
        kl.check(self)
        if self.ratio_level == "sequence" and run.credit != "uniform":
            raise ValueError(f"--credit {run.credit}: a sequence's ratio needs equal tokens; use --ratio-level token")


# station 9: compute the loss
def policy_loss(log_probs: Tensor, batch: Batch, totals: Totals, options: Options) -> tuple[Tensor, dict]:
    """-J of the rows given, as their share of the step's mean over rows. log_probs (b, T) carry the gradient."""
    advantages, mask, low, high = batch.advantages, batch.loss_mask, 1 - options.clip_low, 1 + options.clip_high
    log_ratio = row_mean(log_probs - batch.old_log_probs, mask)[:, None]  # log s_i, (b, 1)
    if options.ratio_level == "sequence":
        advantages = row_mean(advantages, mask)[:, None]  # A_i, (b, 1)
    elif options.ratio_level == "token":
        log_ratio = log_ratio.detach() + log_probs - log_probs.detach()  # log s_it, (b, T)
    else:
        raise ValueError(f"--ratio-level: unknown {options.ratio_level!r}; there are {', '.join(LEVELS)}")
    ratio = torch.exp(log_ratio)  # s_i (b, 1) or s_it (b, T)
    clipped = ratio.clamp(low, high)
    per_token = -torch.minimum(ratio * advantages, clipped * advantages).expand_as(mask)  # (b, T)
    if batch.weights is not None:
        per_token = per_token * batch.weights
    loss = row_mean(per_token, mask).sum() / totals.rows
    too_low = ((ratio < low) & (advantages < 0)).expand_as(mask).float()  # the clip has cut the gradient
    too_high = ((ratio > high) & (advantages > 0)).expand_as(mask).float()
    metrics = {
        "policy_loss": float(loss.detach()),
        "clip_ratio/low_mean": float(row_mean(too_low, mask).sum() / totals.rows),
        "clip_ratio/high_mean": float(row_mean(too_high, mask).sum() / totals.rows),
        "clip_ratio/region_mean": float(row_mean(too_low + too_high, mask).sum() / totals.rows),
        "ratio": ratio[:, 0],
    }
    if options.kl_coef and options.kl_in == "loss":
        penalty = kl.in_loss(log_probs, batch, options)  # KL_it, (b, T)
        loss = loss + options.kl_coef * normalize(penalty, mask, totals, "sequence-mean")
        metrics["kl"] = float((penalty.detach() * mask).sum()) / totals.tokens
    return loss, metrics


def train(learner: Learner, collect, log, options: Options) -> None:
    """The loop. `collect(step)` samples, judges and rewards; `log(batch, metrics)` writes down."""
    in_loss = options.kl_coef > 0 and options.kl_in == "loss"
    while learner.step < learner.settings.steps:
        batch = learner.prepare(collect(learner.step))
        beta = 0.0 if in_loss else options.kl_coef
        rewards, metrics = kl.penalized_rewards(batch, options.kl_estimator, beta)  # R_i, (N, G)
        advantages, scale = group_advantages(rewards, options.scale_rewards)  # (N, G), (N, 1)
        batch.advantages = token_advantages(advantages, scale, batch)  # (B, T)
        log(batch, metrics | learner.update(batch, policy_loss, options, every_row=in_loss))
