"""From judged rollouts to the summary of an evaluation (plain data, for --json), and from that to its text."""

from collections import Counter
from collections.abc import Sequence
from itertools import product

from data.problems import Problem
from experiments.report.pass_at_k import bootstrap_interval
from experiments.report.results import POWERS, groups, length, length_unit, make_results, rates
from experiments.report.tables import align
from rl.rollout import Rollout
from sandbox import Stage


def summarize_splits(
    problems: list[Problem],
    greedy: list[Rollout],
    sampled: list[Rollout],
    split: str,
    ks: Sequence[int] = POWERS,
) -> dict:
    """Summaries of the whole split, of its unseen families, and of each tier: {"test": .., "test/unseen": .., ..}."""
    found = {}
    for name, members in groups(problems, split).items():
        ids = {problem.task_id for problem in members}
        chosen = ([r for r in rollouts if r.prompt_id in ids] for rollouts in (greedy, sampled))
        found[name] = summarize(members, *chosen, ks)
    return found


def summarize(
    problems: Sequence[Problem], greedy: list[Rollout], sampled: list[Rollout], ks: Sequence[int] = POWERS
) -> dict:
    """Pass rates with intervals; and of the sampled rollouts (else the greedy ones): stages and error types as shares,
    findings as the mean number in a rollout, and lengths."""
    summary: dict = {"problems": len(problems)}
    for name, values in rates(make_results(problems, greedy, sampled), ks).items():
        summary |= {name: sum(values) / len(values), f"{name}_interval": bootstrap_interval(values)}
    shown = sampled or greedy
    stages = Counter(rollout.outcome.stage.name for rollout in shown)
    errors = Counter(rollout.outcome.error_type or "none" for rollout in shown)
    findings = {tool: Counter() for tool in ("style", "security")}
    for rollout in shown:
        for tool, counts in findings.items():
            counts.update(rollout.findings[tool])
    summary |= {
        "stages": {stage.name: stages[stage.name] / len(shown) for stage in Stage},
        "error_types": {name: count / len(shown) for name, count in errors.most_common()},
        "findings": {
            tool: {name: count / len(shown) for name, count in sorted(counts.items())}
            for tool, counts in findings.items()
        },
        "mean_length": sum(map(length, shown)) / len(shown),
        "length_unit": length_unit(shown[0]),
    }
    if summary["length_unit"] == "tokens":  # a file of answers does not say how they ended
        summary["truncated"] = sum(rollout.finish_reason == "length" for rollout in shown) / len(shown)
    return summary


def format_table(columns: dict[str, dict], names: Sequence[str]) -> str:
    """One line for each split and figure, one column for each evaluation, with intervals in percent."""
    lines = []
    for split, name in product(next(iter(columns.values())), names):
        cells = [column[split] for column in columns.values()]
        if all(name in cell for cell in cells):
            lines.append([split, name, *(format_cell(cell, name) for cell in cells)])
    return align(["split", "figure", *columns], lines)


def format_cell(summary: dict, name: str) -> str:
    low, high = summary[f"{name}_interval"]
    return f"{100 * summary[name]:5.1f} % [{100 * low:5.1f}, {100 * high:5.1f}]"


def to_text(splits: dict, ks: Sequence[int]) -> str:
    """What the command prints: the table of figures; then shares, lengths and findings of the whole split."""
    summary = next(iter(splits.values()))
    figures = [f"{base}{name}" for base in ("base/", "") for name in ("greedy_pass@1", *(f"pass@{k}" for k in ks))]
    lines = [format_table({"result": splits}, figures)]
    if any(name.startswith("base/") for name in summary):
        lines.append("base/: on the benchmark's own tests; the others: on these and EvalPlus's")
    for title in ("stages", "error_types"):
        shares = [f"{name} {100 * share:.1f} %" for name, share in list(summary[title].items())[:8] if share]
        lines.append(f"{title}: {', '.join(shares)}")
    truncated = f", truncated {100 * summary['truncated']:.1f} %" if "truncated" in summary else ""
    lines.append(f"mean length: {summary['mean_length']:.1f} {summary['length_unit']}{truncated}")
    for tool, counts in summary["findings"].items():
        found = ", ".join(f"{name} {count:.3f}" for name, count in counts.items() if count)
        lines.append(f"{tool} findings a completion: {found or 'none'}")
    return "\n".join(lines)
