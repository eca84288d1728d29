"""SFT: supervised fine-tuning on reference solutions, the baseline that RL is measured against.

    L = - 1/(tokens) sum_i sum_t log pi(y_it | q_i, y_i<t)

over the tokens of the solutions y, with the end-of-sequence token; the prompt q is read, not learned. The mean is over
all solution tokens of the optimizer step. What is left out: loss on the prompt, packing of several examples in one row.

    python experiments/run.py --algo sft
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rl.learner import Learner
from rl.loss import Totals, normalize
from rl.options import option
from rl.rollout import Batch

ON_POLICY, GROUPED = False, False  # learns from given solutions; compares no samples of one prompt
DEFAULTS = {"prompts": 64, "minibatches": 1}


@dataclass
class Options:
    solutions: str = option("code", "which solutions of a problem to learn", choices=("code", "unsafe", "both"))

    def check(self, run) -> None:
        """ValueError, one line, for options that contradict each other."""


def completion_loss(log_probs: Tensor, batch: Batch, totals: Totals, options: Options) -> tuple[Tensor, dict]:
    """L of the rows given, as their share of the step's mean over tokens, in nats. log_probs (b, T) carry gradients."""
    return normalize(-log_probs, batch.loss_mask, totals, "token-mean"), {}


def train(learner: Learner, collect, log, options: Options) -> None:
    """The loop. `collect(step)` gives reference solutions as rollouts; `log(batch, metrics)` writes down."""
    while learner.step < learner.settings.steps:
        batch = learner.prepare(collect(learner.step))
        batch.advantages = torch.zeros_like(batch.mask)  # nothing is compared here
        log(batch, learner.update(batch, completion_loss, options, every_row=True))
