"""What every algorithm does alike: optimizer steps over a batch of rollouts. The equations are not here.

An algorithm hands over rollouts, advantages (B, T) and its loss; the learner cuts the batch into minibatches
(one optimizer step each) and those into microbatches (for memory only), takes the log-probabilities and steps.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rl.logprobs import completion_logprobs
from rl.lora import lora_parameters
from rl.model import Decoder
from rl.rollout import Rollout, length_mask, sampled_log_probs


@dataclass(frozen=True)
class Totals:
    """Counts over a whole optimizer step, before microbatching: what a loss divides by."""

    rows: int  # rollouts, those without a gradient included
    tokens: int  # completion tokens of all of them


# (log_probs (b, T), old_log_probs (b, T), advantages (b, T), mask (b, T), totals) -> scalar loss, metrics.
# The sum over microbatches is the loss of the step; metrics add up in the same way.
PolicyLoss = Callable[[Tensor, Tensor, Tensor, Tensor, Totals], tuple[Tensor, dict[str, float]]]


class Learner:
    """A model with LoRA layers, its optimizer and its learning-rate schedule."""

    def __init__(
        self,
        model: Decoder,
        *,
        lr: float,
        steps: int,
        warmup: int,
        minibatches: int,
        microbatch_rows: int,
        temperature: float,
        max_grad_norm: float,
    ):
        self.model, self.parameters = model, lora_parameters(model)
        self.optimizer = torch.optim.AdamW(self.parameters, lr=lr, betas=(0.9, 0.99), weight_decay=0.0)
        self.peak_lr, self.steps, self.warmup = lr, steps, warmup
        self.minibatches, self.microbatch_rows = minibatches, microbatch_rows
        self.temperature, self.max_grad_norm = temperature, max_grad_norm

    def learning_rate(self, step: int) -> float:
        """Linear warm-up over the first steps, then linear decay that would reach 0 one step after the last."""
        return self.peak_lr * min((step + 1) / max(1, self.warmup), (self.steps - step) / self.steps)

    def update(self, step: int, rollouts: list[Rollout], advantages: Tensor, loss: PolicyLoss) -> dict[str, float]:
        """One optimizer step per minibatch; returns metrics, means over the minibatches.

        `sampling/sampling_logp_difference/*` compares the sampler's log-probabilities with the learner's on the same
        tokens, in the first minibatch only: there the weights are those that sampled.
        """
        lr = self.learning_rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        collected: list[dict[str, float]] = []
        for start, stop in _slices(len(rollouts), self.minibatches):
            metrics = self._optimizer_step(rollouts[start:stop], advantages[start:stop], loss)
            if start > 0:
                metrics = {name: value for name, value in metrics.items() if "logp_difference" not in name}
            collected.append(metrics)
        names = dict.fromkeys(name for metrics in collected for name in metrics)
        means = {n: _mean([metrics[n] for metrics in collected if n in metrics]) for n in names}
        return means | {"learning_rate": lr}

    def _optimizer_step(self, rollouts: list[Rollout], advantages: Tensor, loss: PolicyLoss) -> dict[str, float]:
        totals = Totals(len(rollouts), sum(len(rollout.completion) for rollout in rollouts))
        # A row whose advantage is zero throughout has no gradient: counted above, but not computed.
        active = [i for i in range(len(rollouts)) if bool(advantages[i].any())]
        self.optimizer.zero_grad(set_to_none=True)
        metrics: dict[str, float] = {"loss": 0.0}
        for start in range(0, len(active), self.microbatch_rows):
            rows = active[start : start + self.microbatch_rows]
            _add(metrics, self._backward([rollouts[i] for i in rows], advantages[rows], loss, totals))
        if not active:
            return metrics | {"grad_norm": 0.0}  # no step: AdamW would still move along its momentum
        metrics["grad_norm"] = float(torch.nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm))
        self.optimizer.step()
        active_tokens = sum(len(rollouts[i].completion) for i in active)
        for name in ("entropy", "sampling/sampling_logp_difference/mean"):
            metrics[name] /= active_tokens
        return metrics

    def _backward(self, rollouts, advantages: Tensor, loss: PolicyLoss, totals: Totals) -> dict[str, float]:
        """Adds one microbatch's gradient; its share of the step's metrics."""
        device = self.model.device
        prompts = {rollout.prompt_id: rollout.prompt for rollout in rollouts}
        index = {prompt_id: i for i, prompt_id in enumerate(prompts)}
        log_probs, entropy = completion_logprobs(
            self.model,
            list(prompts.values()),
            [index[rollout.prompt_id] for rollout in rollouts],
            [rollout.completion for rollout in rollouts],
            self.temperature,
        )  # (b, T)
        mask, old = length_mask(rollouts).to(device), sampled_log_probs(rollouts).to(device)  # (b, T)
        advantages = advantages[:, : mask.shape[1]].to(device)
        value, metrics = loss(log_probs, old, advantages, mask, totals)
        value.backward()
        gap = ((log_probs.detach() - old) * mask).abs()
        return metrics | {
            "loss": float(value.detach()),
            "entropy": float(entropy.sum()),
            "sampling/sampling_logp_difference/mean": float(gap.sum()),
            "sampling/sampling_logp_difference/max": float(gap.max()),
        }


def _slices(count: int, parts: int) -> list[tuple[int, int]]:
    """`count` rows in `parts` consecutive slices of nearly equal size; none is empty.

    Example: 5 rows in 2 parts are (0, 2) and (2, 5).
    """
    bounds = [count * part // parts for part in range(parts + 1)]
    return [(start, stop) for start, stop in zip(bounds, bounds[1:], strict=False) if stop > start]


def _add(total: dict[str, float], part: dict[str, float]) -> None:
    """Adds up metrics, except that a name ending in /max takes the maximum."""
    for name, value in part.items():
        total[name] = max(total.get(name, value), value) if name.endswith("/max") else total.get(name, 0.0) + value


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
