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

Different from the paper by default: beta is 0, so there is no reference; e_high is DAPO's. What is left out: process
supervision (section 4.1.3) and the iterated reward model, as rewards here are verified, not learned.

    python experiments/run.py --algo grpo --reward staged
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rl import kl
from rl.credit import token_advantages
from rl.learner import Learner
from rl.loss import NORMALIZERS, Totals, clipped_loss, normalize
from rl.options import option
from rl.rollout import Batch, has_spread

ON_POLICY, GROUPED = True, True  # learns from own samples; compares samples of one prompt
DEFAULTS = {}
SCALES = ("group", "batch", "none")


@dataclass
class Options:
    clip_low: float = option(0.2, "clip range of the ratio below 1", least=0)
    clip_high: float = option(0.28, "clip range of the ratio above 1", least=0)
    scale_rewards: str = option("group", "what std advantages are divided by", choices=SCALES)
    loss_normalizer: str = option("sequence-mean", "what the loss divides by (rl/loss.py)", choices=NORMALIZERS)
    kl_coef: float = option(0.0, "weight of the KL to the reference; 0 is none", least=0)
    kl_estimator: str = option("k3", "estimator of the KL (rl/kl.py)", choices=kl.ESTIMATORS)
    kl_in: str = option("loss", "where the KL stands", choices=("loss", "reward"))
    kl_weighted: bool = option(False, "weight the KL in the loss by the ratio: an unbiased gradient")

    def check(self, run) -> None:
        """ValueError, one line, for options that contradict each other."""
        kl.check(self)


# station 8: compare the group
def group_advantages(rewards: Tensor, scale: str = "group") -> tuple[Tensor, Tensor]:
    """A_i of every rollout and the number s_i that it was divided by: (N, G) -> (N, G), (N, 1).

    Scale "group" is the group's standard deviation, "batch" that of all N x G rewards, "none" is 1. It is the unbiased
    one (divisor G - 1), as in the authors' and TRL's code. Division by the group's gives more weight to prompts whose
    rewards nearly agree: the expected gradient is then not that of the expected reward. Equal rewards give exactly 0.

    Example: rewards [[0, 0, 1]] give [[-0.58, -0.58, 1.15]], and [[-0.33, -0.33, 0.67]] with scale "none".
    """
    if rewards.shape[1] < 2:
        raise ValueError(
            f"--group-size {rewards.shape[1]}: a group of one has no mean to differ from; needs at least 2"
        )
    if scale == "group":
        divisor = rewards.std(dim=1, keepdim=True) + 1e-4  # (N, 1)
    elif scale == "batch":
        divisor = (rewards.std() + 1e-4).expand(len(rewards), 1)
    elif scale == "none":
        divisor = rewards.new_ones(len(rewards), 1)
    else:
        raise ValueError(f"--scale-rewards: unknown {scale!r}; there are {', '.join(SCALES)}")
    centered = rewards - rewards.mean(dim=1, keepdim=True)  # (N, G)
    spread = has_spread(rewards)[:, None]  # (N, 1)
    return torch.where(spread, centered / divisor, 0.0), divisor


def policy_loss(log_probs: Tensor, batch: Batch, totals: Totals, options: Options) -> tuple[Tensor, dict]:
    """-J of the rows given, as their share of the step's mean. log_probs (b, T) carry the gradient."""
    loss, metrics = clipped_loss(log_probs, batch, totals, options.clip_low, options.clip_high, options.loss_normalizer)
    if options.kl_coef and options.kl_in == "loss":
        penalty = kl.in_loss(log_probs, batch, options)  # KL_it, (b, T)
        loss = loss + options.kl_coef * normalize(penalty, batch.loss_mask, totals, options.loss_normalizer)
        metrics["kl"] = float((penalty.detach() * batch.loss_mask).sum()) / totals.tokens
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
