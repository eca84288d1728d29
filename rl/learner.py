"""What all algorithms share: optimizer steps over a batch of rollouts. The equations are not here.

An algorithm lets the learner `prepare` the tensors of its rollouts, fills in advantages (B, T), and passes its loss to
`update`. The learner cuts the batch into minibatches (one optimizer step each) and those into microbatches (only to
save memory), computes the log-probabilities, and steps.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rl.logprobs import completion_logprobs
from rl.lora import lora_parameters
from rl.loss import Totals
from rl.model import Decoder
from rl.rollout import Batch, Rollout, make_batch

# (log_probs (b, T) with gradient, the microbatch, totals of its optimizer step, the algorithm's options) -> scalar
# loss, metrics. The loss of a step is the sum over its microbatches. Metrics that are numbers add up likewise. Metrics
# that are tensors are samples; their mean is logged, or what SPREADS says.
Loss = Callable[[Tensor, Batch, Totals, object], tuple[Tensor, dict[str, float | Tensor]]]


@dataclass(frozen=True)
class Settings:
    """How steps are taken; run.py has options of the same names."""

    lr: float
    steps: int
    temperature: float = 1.0
    max_new_tokens: int = 1  # the token budget, for the normaliser "constant"
    lr_schedule: str = "linear"  # linear | constant
    warmup: int = 0
    epochs: int = 1  # passes over a batch of rollouts
    minibatches: int = 1  # optimizer steps in a pass
    microbatch_rows: int = 128  # at most so many rows in a microbatch
    microbatch_tokens: int = 0  # at most so many tokens, padding included, unless it is one row; 0 is no bound
    gradient_checkpointing: bool = False  # recompute blocks in the backward pass, to save memory
    max_grad_norm: float = 1.0
    old_log_probs: str = "sampler"  # sampler | recompute
    importance_cap: float = 0.0  # of the weights that correct the sampler's log-probabilities; 0 is no weights
    mask_truncated: bool = False


class Learner:
    """A model with LoRA layers, the optimizer, and where asked for a reference policy and a critic.

    All that a run carries from step to step is here: the weights, the optimizer, `step`, and the numbers in `state`,
    which a loop may use freely. rl/files/checkpoint.py saves it.
    """

    def __init__(
        self,
        model: Decoder,
        settings: Settings,
        reference: Decoder | None = None,
        critic: nn.Module | None = None,
        critic_lr: float = 0.0,
    ):
        self.model, self.settings, self.reference, self.critic = model, settings, reference, critic
        self.trained = {"policy": lora_parameters(model)}
        # Beta 2 of 0.99 adapts within a run of a hundred steps; the critic, with denser gradients, keeps Adam's 0.999.
        groups = [{"params": self.trained["policy"], "peak_lr": settings.lr, "betas": (0.9, 0.99)}]
        if critic is not None:
            self.trained["critic"] = [p for p in critic.parameters() if p.requires_grad]
            groups.append({"params": self.trained["critic"], "peak_lr": critic_lr, "betas": (0.9, 0.999)})
            critic.backbone.gradient_checkpointing = settings.gradient_checkpointing
        model.gradient_checkpointing = settings.gradient_checkpointing
        self.optimizer = torch.optim.AdamW(groups, lr=settings.lr, weight_decay=0.0)
        self.step = 0  # steps done
        self.state: dict[str, float] = {}

    def learning_rate(self, peak: float) -> float:
        """Linear warm-up; then, in schedule "linear", a decay that would reach 0 one step after the last."""
        settings = self.settings
        left = (settings.steps - self.step) / settings.steps if settings.lr_schedule == "linear" else 1.0
        return peak * min((self.step + 1) / max(1, settings.warmup), left)

    def prepare(self, rollouts: list[Rollout], sequence_weights: bool = False) -> Batch:
        """The tensors of the rollouts: masks, old log-probabilities, and the reference's if there is one.

        Importance weights, if asked for, are those of single tokens, or with `sequence_weights` of whole sequences.
        """
        settings = self.settings
        batch = make_batch(rollouts, self.model.device, settings.mask_truncated)
        if settings.old_log_probs == "recompute":
            batch.old_log_probs = self.log_probs(self.model, batch)
        if settings.importance_cap:
            # The sampler's distribution differs a little from the learner's (other kernels, other dtype). Truncated
            # importance sampling (Ionides 2008) corrects for it; the cap bounds the weight.
            log_weights = (batch.old_log_probs - batch.sampled_log_probs) * batch.mask  # (B, T)
            if sequence_weights:
                log_weights = log_weights.sum(dim=1, keepdim=True).expand_as(batch.mask)
            batch.weights = torch.exp(log_weights).clamp(max=settings.importance_cap)
        if self.reference is not None:
            batch.ref_log_probs = self.log_probs(self.reference, batch)
        return batch

    def log_probs(self, model: Decoder, batch: Batch) -> Tensor:
        """The batch's tokens under a model, (B, T), without gradient."""
        return self._in_parts(batch, lambda *rows: completion_logprobs(model, *rows, self.settings.temperature)[0])

    def values(self, batch: Batch) -> Tensor:
        """The critic's value of the state before each of the batch's tokens, (B, T), without gradient."""
        return self._in_parts(batch, self.critic)

    @torch.no_grad()
    def _in_parts(self, batch: Batch, function) -> Tensor:
        """A function of prompts and completions, one microbatch at a time: (B, T), 0 at the padding."""
        parts = [function(*layout_of(part.rollouts)) for part in self.microbatches(batch, range(len(batch.rollouts)))]
        width = batch.mask.shape[1]
        return torch.cat([nn.functional.pad(part, (0, width - part.shape[1])) for part in parts]) * batch.mask

    def microbatches(self, batch: Batch, rows) -> list[Batch]:
        """Some rows of a batch, as many at a time as fit. Their order stays, so a group shares its prompt."""
        lengths = [(r.prompt_id, len(r.prompt), len(r.completion)) for r in (batch.rollouts[i] for i in rows)]
        bounds = _bounds(lengths, self.settings.microbatch_rows, self.settings.microbatch_tokens)
        return [batch.rows(list(rows[start:stop])) for start, stop in bounds]

    # station 10: step
    def update(
        self, batch: Batch, loss: Loss, options: object, *, every_row: bool = False, target_kl: float = 0.0
    ) -> dict[str, float]:
        """`epochs` x `minibatches` optimizer steps on a batch; returns metrics: means over the steps, or extremes.

        `every_row`: rows whose advantages are all zero have a gradient, too (a KL term, a critic). Otherwise they count
        in the normaliser but are not computed. `target_kl`: skip the remaining minibatches as soon as one shows the
        policy further than this from the start of the batch (mean over tokens of k3, in nats).
        """
        before = [p.detach().clone() for p in self.trained["policy"]]
        rates = [self.learning_rate(group["peak_lr"]) for group in self.optimizer.param_groups]
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        collected: list[dict[str, float]] = []
        taken = 0
        for start, stop in _slices(len(batch.rollouts), self.settings.minibatches) * self.settings.epochs:
            rows = batch.rows(list(range(start, stop)))
            metrics = self._backward(rows, loss, options, every_row, fresh=not collected)
            collected.append(metrics)
            if target_kl and metrics.get("approx_kl", 0.0) > target_kl:
                break
            taken += self._optimizer_step(metrics)
        self.step += 1
        names = dict.fromkeys(name for metrics in collected for name in metrics)
        merged = {name: _merge(name, [m[name] for m in collected if name in m]) for name in names}
        after = self.trained["policy"]
        return merged | {
            "learning_rate": rates[0],
            "optimizer_steps": float(taken),
            "adapter/update_norm": _norm([b - a for a, b in zip(before, after, strict=True)]),
            "adapter/norm": _norm(after),
        }

    def _backward(self, batch: Batch, loss: Loss, options: object, every_row: bool, fresh: bool) -> dict[str, float]:
        """The gradient of one minibatch, and its metrics. `fresh`: the weights are still those that sampled."""
        totals = Totals(len(batch.rollouts), int(batch.loss_mask.sum()), self.settings.max_new_tokens)
        active = batch.loss_mask.bool().any(dim=1)  # (B,)
        if not every_row:
            active &= (batch.advantages != 0).any(dim=1)
        self.optimizer.zero_grad(set_to_none=True)
        sums: dict[str, float] = {"loss": 0.0}
        samples: dict[str, list[Tensor]] = {}
        for part in self.microbatches(batch, active.nonzero().flatten().tolist()):
            log_probs, entropy = completion_logprobs(self.model, *layout_of(part.rollouts), self.settings.temperature)
            value, metrics = loss(log_probs, part, totals, options)
            value.backward()
            metrics |= {"loss": float(value.detach()), "entropy": entropy[part.loss_mask.bool()]}
            if all(rollout.log_probs for rollout in part.rollouts):
                metrics |= _sampling_metrics(log_probs.detach(), part, fresh)
            for name, metric in metrics.items():
                if isinstance(metric, Tensor):
                    samples.setdefault(name, []).append(metric.detach().flatten())
                else:
                    sums[name] = sums.get(name, 0.0) + metric
        return sums | _describe({name: torch.cat(parts) for name, parts in samples.items()})

    def _optimizer_step(self, metrics: dict[str, float]) -> bool:
        """Clips the gradients of policy and critic separately, steps, and adds their norms to the metrics."""
        for name, parameters in self.trained.items():
            prefix = "" if name == "policy" else f"{name}/"
            stepped = any(p.grad is not None for p in parameters)
            norm = nn.utils.clip_grad_norm_(parameters, self.settings.max_grad_norm) if stepped else 0.0
            metrics[f"{prefix}grad_norm"] = float(norm)
        if not any(p.grad is not None for p in self.trained["policy"]):
            return False  # without a gradient AdamW would still move along its momentum
        self.optimizer.step()
        return True


def layout_of(rollouts: list[Rollout]) -> tuple[list[list[int]], list[int], list[list[int]]]:
    """The distinct prompts, the prompt of each row, and the completions: the models' arguments."""
    prompts = {rollout.prompt_id: rollout.prompt for rollout in rollouts}
    index = {prompt_id: i for i, prompt_id in enumerate(prompts)}
    rows = [index[rollout.prompt_id] for rollout in rollouts]
    return list(prompts.values()), rows, [rollout.completion for rollout in rollouts]


def _sampling_metrics(log_probs: Tensor, part: Batch, fresh: bool) -> dict[str, Tensor]:
    """Distance from the old policy; and, as long as nothing was learned, from the sampler."""
    real = part.loss_mask.bool()
    log_ratio = (log_probs - part.old_log_probs)[real]
    metrics = {"approx_kl": torch.expm1(log_ratio) - log_ratio}  # k3 of pi_old from pi
    if fresh:
        metrics["sampling/sampling_logp_difference"] = (log_probs - part.sampled_log_probs)[real].abs()
    if part.weights is not None:
        metrics["sampling/importance_sampling_ratio"] = part.weights[real]
    return metrics


# The figures that are logged of a sample. Of any other sample it is the mean, under the sample's own name.
SPREADS = {
    "ratio": ("mean", "std", "min", "max"),
    "sampling/sampling_logp_difference": ("mean", "max"),
    "sampling/importance_sampling_ratio": ("min", "mean", "max"),
}


def _describe(samples: dict[str, Tensor]) -> dict[str, float]:
    figures = {"mean": torch.mean, "min": torch.min, "max": torch.max, "std": lambda sample: sample.std(correction=0)}
    described = {}
    for name, sample in samples.items():
        if name in SPREADS:
            described |= {f"{name}/{figure}": float(figures[figure](sample)) for figure in SPREADS[name]}
        else:
            described[name] = float(sample.mean())
    return described


def _slices(count: int, parts: int) -> list[tuple[int, int]]:
    """`count` rows in `parts` consecutive slices of nearly equal size, none of them empty.

    Example: 5 rows in 2 parts are (0, 2) and (2, 5).
    """
    bounds = [count * part // parts for part in range(parts + 1)]
    return [(start, stop) for start, stop in zip(bounds, bounds[1:], strict=False) if stop > start]


def _bounds(rows: list[tuple[int | str, int, int]], most_rows: int, most_tokens: int) -> list[tuple[int, int]]:
    """Consecutive rows (prompt id, prompt length, completion length) in microbatches: (start, stop) of each.

    Each is as long as the two bounds allow, or one row. Its tokens are those of its completions and of its distinct
    prompts, both padded to their longest; most_tokens = 0 is no bound.

    Example: at most 20 tokens of [(7, 8, 2), (7, 8, 3), (7, 8, 5)] are (0, 2) and (2, 3), as 8 + 3 * 5 > 20.
    """
    bounds, start = [], 0
    while start < len(rows):
        prompts: dict[int | str, int] = {}  # id -> length
        stop, longest = start, 0
        while stop < min(len(rows), start + most_rows):
            prompt_id, prompt, completion = rows[stop]
            prompts[prompt_id], longest = prompt, max(longest, completion)
            tokens = (stop + 1 - start) * longest + len(prompts) * max(prompts.values())
            if most_tokens and tokens > most_tokens and stop > start:
                break
            stop += 1
        bounds.append((start, stop))
        start = stop
    return bounds


def _norm(tensors: list[Tensor]) -> float:
    return float(torch.stack([tensor.detach().norm() for tensor in tensors]).norm())


def _merge(name: str, values: list[float]) -> float:
    """One figure of several optimizer steps."""
    if name.endswith("/max"):
        return max(values)
    return min(values) if name.endswith("/min") else sum(values) / len(values)
