"""REINFORCE with a batch-mean baseline (Williams 1992): lesson zero, the simplest policy gradient.

A whole completion o_i is one action with reward R_i. The baseline b is the mean reward of all B rollouts of the batch:

    A_i    = R_i - b,    b = 1/B sum_j R_j
    grad J = 1/B sum_i A_i grad log pi(o_i | q),    log pi(o_i | q) = sum_t log pi(o_it | q, o_i<t)

and the loss is -J. b contains R_i itself, which only scales the expected gradient, by (B - 1) / B. What is left out:
everything that corrects for old samples. The estimate holds for samples of the current policy, so take one optimizer
step per batch (--minibatches 1 --epochs 1, the defaults here).

    python experiments/run.py --algo reinforce --reward staged
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rl.credit import token_advantages
from rl.learner import Learner
from rl.loss import Totals
from rl.rollout import Batch, has_spread, reward_table

ON_POLICY, GROUPED = True, False  # learns from own samples; compares no samples of one prompt
DEFAULTS = {"minibatches": 1}


@dataclass
class Options:
    """REINFORCE has no option of its own."""

    def check(self, run) -> None:
        if run.minibatches * run.epochs > 1:
            raise ValueError("--minibatches, --epochs: reinforce takes one optimizer step per batch of samples")


def batch_advantages(rewards: Tensor) -> Tensor:
    """A_i: (N, G) -> (N, G). A batch whose rewards are all equal gets exactly zero.

    Example: rewards [[0, 1], [1, 1]] give [[-0.75, 0.25], [0.25, 0.25]].
    """
    spread = has_spread(rewards.reshape(1, -1))  # (1,): the mean of equal floats is rounded
    return torch.where(spread, rewards - rewards.mean(), 0.0)


def policy_loss(log_probs: Tensor, batch: Batch, totals: Totals, options: Options) -> tuple[Tensor, dict]:
    """-J of the rows given, as their share of the step's mean over rows. log_probs (b, T) carry the gradient."""
    per_token = -batch.advantages * log_probs * batch.loss_mask  # (b, T)
    if batch.weights is not None:
        per_token = per_token * batch.weights
    loss = per_token.sum() / totals.rows
    return loss, {"policy_loss": float(loss.detach())}


def train(learner: Learner, collect, log, options: Options) -> None:
    """The loop. `collect(step)` samples, judges and rewards; `log(batch, metrics)` writes down."""
    while learner.step < learner.settings.steps:
        batch = learner.prepare(collect(learner.step), sequence_weights=True)
        rewards = reward_table(batch.rollouts).to(batch.mask)  # R_i, (N, G)
        advantages = batch_advantages(rewards)  # (N, G)
        batch.advantages = token_advantages(advantages, 1.0, batch)  # (B, T)
        log(batch, learner.update(batch, policy_loss, options))
