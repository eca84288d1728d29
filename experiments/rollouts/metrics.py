"""Metrics of a training step's rollouts, in TRL's names where TRL has one. docs/metrics.md lists them."""

import statistics
from collections import Counter

import torch

from experiments.rollouts.judge import has_passed
from rl.rollout import Rollout, has_spread, reward_table
from sandbox import Stage

# Metrics that every step with samples has (STEADY_GROUPS: with groups of two or more): a schedule may wait for these.
STEADY = ("reward", "reward_std", "pass_rate", *(f"stages/{stage.name}" for stage in Stage))
STEADY_GROUPS = ("frac_reward_zero_std", "frac_all_pass", "frac_all_fail")


def length_metrics(rollouts: list[Rollout]) -> dict[str, float]:
    """Completion lengths in tokens, of all and of those that ended themselves; and the share of truncated ones."""
    lengths = [len(rollout.completion) for rollout in rollouts]
    ended = [len(rollout.completion) for rollout in rollouts if rollout.finish_reason != "length"]
    metrics = {
        "completions/mean_length": statistics.fmean(lengths),
        "completions/min_length": min(lengths),
        "completions/max_length": max(lengths),
        "completions/clipped_ratio": 1 - len(ended) / len(rollouts),
    }
    if ended:
        metrics |= {
            "completions/mean_terminated_length": statistics.fmean(ended),
            "completions/min_terminated_length": min(ended),
            "completions/max_terminated_length": max(ended),
        }
    return metrics


def reward_metrics(rollouts: list[Rollout]) -> dict[str, float]:
    """Rewards and their components, pass rate, stages, and the groups without a learning signal."""
    table = reward_table(rollouts)  # (N, G)
    solved = torch.tensor([has_passed(rollout) for rollout in rollouts]).view_as(table)  # (N, G)
    metrics = {
        "reward": float(table.mean()),
        "reward_std": float(table.std()) if table.numel() > 1 else 0.0,
        "pass_rate": share(solved),
    }
    if table.shape[1] > 1:
        metrics |= group_metrics(table, solved)
    for name in rollouts[0].components:
        values = [rollout.components[name] for rollout in rollouts]
        metrics[f"rewards/{name}/mean"] = statistics.fmean(values)
        metrics[f"rewards/{name}/std"] = statistics.stdev(values) if len(values) > 1 else 0.0
    for stage in Stage:
        metrics[f"stages/{stage.name}"] = statistics.fmean(r.outcome.stage == stage for r in rollouts)
    lengths = [len(rollout.completion) for rollout in rollouts]
    rewards = [rollout.reward for rollout in rollouts]
    if len(set(lengths)) > 1 and len(set(rewards)) > 1:
        metrics["reward_length_correlation"] = statistics.correlation(lengths, rewards)
    return metrics | finding_metrics(rollouts)


def finding_metrics(rollouts: list[Rollout]) -> dict[str, float]:
    """Findings per completion: of Ruff by class, of Bandit by severity and by weakness."""
    counts = Counter({"findings/failed": sum(bool(rollout.findings.get("failed")) for rollout in rollouts)})
    for rollout in rollouts:
        for tool in ("style", "security"):
            profile = rollout.findings.get(tool, {})
            counts.update({f"findings/{tool}/{name}": count for name, count in profile.items()})
    return {name: count / len(rollouts) for name, count in sorted(counts.items())}


def group_metrics(table: torch.Tensor, solved: torch.Tensor) -> dict[str, float]:
    """Shares of groups with equal rewards, all passed, all failed; from rewards and passes, (N, G) each."""
    flat = ~has_spread(table)  # (N,)
    all_pass, all_fail = solved.all(dim=1), ~solved.any(dim=1)  # (N,)
    return {
        "frac_reward_zero_std": share(flat),
        "frac_reward_zero_std/all_pass": share(flat & all_pass),
        "frac_reward_zero_std/all_fail": share(flat & all_fail),
        "frac_all_pass": share(all_pass),
        "frac_all_fail": share(all_fail),
    }


def share(flags: torch.Tensor) -> float:
    return float(flags.float().mean())
