"""Whether one evaluation is better than another on the same problems: `eval.py --compare A B`.

A and B are files of `eval.py --per-problem`. Both were asked the same problems, some of which are hard and some easy
for either; the difference of each problem leaves that out, so its interval is narrower than those of A and B suggest.

Left out: the sampling. With other samples of the same model the figures differ, too; the interval is over problems.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from experiments.report.pass_at_k import mcnemar, paired_interval
from experiments.report.results import POWERS, Result, groups, rates, read_results
from experiments.report.tables import align


@dataclass(frozen=True)
class Difference:
    """A figure of two evaluations, as shares; `low` and `high` hold 95 % of the bootstrap's differences."""

    group: str
    figure: str
    first: float
    second: float
    difference: float  # second - first
    low: float
    high: float


@dataclass(frozen=True)
class Discordance:
    """How many problems the greedy answers of both, of one or of neither solved, and McNemar's exact p."""

    group: str
    figure: str
    both: int
    only_first: int
    only_second: int
    neither: int
    p: float


def read_pair(first: Path, second: Path) -> tuple[list[Result], list[Result]]:
    """Two files of results in one order. ValueError, one line, where they are not of the same problems."""
    before, after = read_results(first), read_results(second)
    common = before.keys() & after.keys()
    lonely = [len(results) - len(common) for results in (before, after)]
    if not common:
        raise ValueError(f"--compare: {first} and {second} have no problem in common")
    if any(lonely):
        raise ValueError(
            f"--compare: {len(common)} problems are in both files, {lonely[0]} in {first} only and {lonely[1]} in "
            f"{second} only; evaluate both on the same"
        )
    moved = [
        name for name in before if (before[name].split, before[name].tier) != (after[name].split, after[name].tier)
    ]
    if moved:
        raise ValueError(f"--compare: {moved[0]!r} is of another split or tier in {second} than in {first}")
    return list(before.values()), [after[name] for name in before]


def compare(
    first: Sequence[Result], second: Sequence[Result], ks: Sequence[int] = POWERS
) -> tuple[list[Difference], list[Discordance]]:
    """Every figure that both have, of all problems, the unseen ones and each tier. ValueError where there is none.

    `first` and `second` are of the same problems in the same order.
    """
    differences, discordances = [], []
    pairs = zip(groups(first, "all").items(), groups(second, "all").values(), strict=True)
    for (group, before), after in pairs:
        values, others = rates(before, ks), rates(after, ks)
        for figure in (name for name in values if name in others):
            differences.append(difference(group, figure, values[figure], others[figure]))
            if figure.endswith("greedy_pass@1"):
                discordances.append(discordance(group, figure, values[figure], others[figure]))
    if not differences:
        raise ValueError("--compare: one file has greedy answers only, the other has samples only")
    return differences, discordances


def difference(group: str, figure: str, first: list[float], second: list[float]) -> Difference:
    means = sum(first) / len(first), sum(second) / len(second)
    return Difference(group, figure, *means, means[1] - means[0], *paired_interval(first, second))


def discordance(group: str, figure: str, first: list[float], second: list[float]) -> Discordance:
    pairs = list(zip(first, second, strict=True))
    only_first, only_second = pairs.count((1.0, 0.0)), pairs.count((0.0, 1.0))
    both, neither = pairs.count((1.0, 1.0)), pairs.count((0.0, 0.0))
    return Discordance(group, figure, both, only_first, only_second, neither, mcnemar(only_first, only_second))


def to_text(differences: Sequence[Difference], discordances: Sequence[Discordance]) -> str:
    """Two tables: figures in percent and their differences in points, then the greedy answers problem by problem."""
    rows = [
        (
            d.group,
            d.figure,
            f"{100 * d.first:5.1f} %",
            f"{100 * d.second:5.1f} %",
            f"{100 * d.difference:+6.1f} [{100 * d.low:+6.1f}, {100 * d.high:+6.1f}]",
        )
        for d in differences
    ]
    text = align(("split", "figure", "A", "B", "B - A, points"), rows)
    if not discordances:
        return text
    rows = [
        (d.group, d.figure, *(str(n) for n in (d.both, d.only_first, d.only_second, d.neither)), f"{d.p:.3g}")
        for d in discordances
    ]
    header = ("split", "figure", "both", "only A", "only B", "neither", "p (McNemar, exact)")
    return f"{text}\n\n{align(header, rows)}"


def to_record(differences: Sequence[Difference], discordances: Sequence[Discordance]) -> dict:
    """The same as plain data."""
    return {"differences": [asdict(d) for d in differences], "mcnemar": [asdict(d) for d in discordances]}
