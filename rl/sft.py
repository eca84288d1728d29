"""SFT: supervised fine-tuning on reference solutions, the baseline that RL is measured against.

    L = - 1/(tokens) sum_i sum_t log pi(y_it | q_i, y_i<t)

over the tokens of the solutions y, the end-of-sequence token among them; the prompt q is read, not learned. The mean
is over all solution tokens of the optimizer step. What is left out: loss on the prompt, packing of several examples
into one row.

    python experiments/run.py --algo sft
"""

import torch
from torch import Tensor

from rl.learner import Learner
from rl.loss import Totals, normalize
from rl.rollout import Batch

DEFAULTS: dict = {}  # SFT takes no option of its own


def completion_loss(
    log_probs: Tensor,  # (B, T), with gradient
    mask: Tensor,  # (B, T), 1.0 at solution tokens
    totals: Totals,  # of the whole optimizer step
) -> Tensor:
    """L of the rows given, as their share of the optimizer step's mean over tokens, in nats."""
    return normalize(-log_probs, mask, totals, "token-mean")


def train(learner: Learner, collect, log, options) -> None:
    """The loop. `collect(step)` gives reference solutions as rollouts; `log(batch, metrics)` writes down."""

    def loss(log_probs: Tensor, batch: Batch, totals: Totals):
        return completion_loss(log_probs, batch.loss_mask, totals), {}

    while learner.step < options.steps:
        batch = learner.prepare(collect(learner.step))
        batch.advantages = torch.zeros_like(batch.mask)  # nothing is compared here
        metrics = learner.update(batch, loss, every_row=True)
        log(batch, metrics)
