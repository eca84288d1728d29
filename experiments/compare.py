"""Is one evaluation better than another on the same problems? `python experiments/compare.py A.jsonl B.jsonl`

A and B are files of `eval.py --per-problem`. The command prints the difference B - A of each figure with a paired
bootstrap interval, and McNemar's test for greedy answers. The interval covers the choice of problems, not the sampling
of answers or the seed of a training run.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from experiments.files import check_output, write_text
from experiments.options import bad_input_is_one_line, option, parse
from experiments.report.pass_at_k import mcnemar, paired_interval
from experiments.report.results import POWERS, ProblemResult, groups, parse_ks, rates, read_results
from experiments.report.tables import align


@dataclass
class CompareOptions:
    a: str = option("", "the first file of eval.py --per-problem", positional=True)
    b: str = option("", "the second one, of the same problems", positional=True)
    k: str = option("", "the k of pass@k, with commas between them; else powers of 2")
    json: str = option("", "file for the figures")


@dataclass(frozen=True)
class Difference:
    """A figure of two evaluations, as shares."""

    group: str
    figure: str
    first: float
    second: float
    difference: float  # second - first
    low: float  # the bounds of the 95 % interval
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


def read_pair(first: Path, second: Path) -> tuple[list[ProblemResult], list[ProblemResult]]:
    """Two files of results, in the order of the first. ValueError if they are not of the same problems."""
    before, after = read_results(first), read_results(second)
    common = before.keys() & after.keys()
    if not common:
        raise ValueError(f"{first} and {second} have no problem in common")
    if len(common) < max(len(before), len(after)):
        lonely = f"{len(before) - len(common)} in {first} only and {len(after) - len(common)} in {second} only"
        raise ValueError(f"{len(common)} problems are in both files, {lonely}; evaluate both on the same")
    for name in before:
        if (before[name].split, before[name].tier) != (after[name].split, after[name].tier):
            raise ValueError(f"{second}: {name!r} is of another split or tier than in {first}")
    return list(before.values()), [after[name] for name in before]


def compare_results(
    first: Sequence[ProblemResult], second: Sequence[ProblemResult], ks: Sequence[int] = POWERS
) -> tuple[list[Difference], list[Discordance]]:
    """Every figure that both have, of all problems, the unseen ones and each tier. ValueError if there is none."""
    differences, discordances = [], []
    for (group, before), after in zip(groups(first, "all").items(), groups(second, "all").values(), strict=True):
        values, others = rates(before, ks), rates(after, ks)
        for figure in (name for name in values if name in others):
            a, b = values[figure], others[figure]
            means = sum(a) / len(a), sum(b) / len(b)
            differences.append(Difference(group, figure, *means, means[1] - means[0], *paired_interval(a, b)))
            if figure.endswith("greedy_pass@1"):
                pairs = list(zip(a, b, strict=True))
                both, only_a, only_b, neither = map(pairs.count, ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)))
                p = mcnemar(only_a, only_b)
                discordances.append(Discordance(group, figure, both, only_a, only_b, neither, p))
    if not differences:
        raise ValueError("one file has greedy answers only, the other has samples only")
    return differences, discordances


def to_text(differences: Sequence[Difference], discordances: Sequence[Discordance]) -> str:
    """Two tables: figures in percent and their differences in points; then the counts of McNemar's test."""
    rows = []
    for d in differences:
        interval = f"{100 * d.difference:+6.1f} [{100 * d.low:+6.1f}, {100 * d.high:+6.1f}]"
        rows.append((d.group, d.figure, f"{100 * d.first:5.1f} %", f"{100 * d.second:5.1f} %", interval))
    text = align(("split", "figure", "A", "B", "B - A, points"), rows)
    if not discordances:
        return text
    rows = [
        (d.group, d.figure, *map(str, (d.both, d.only_first, d.only_second, d.neither)), f"{d.p:.3g}")
        for d in discordances
    ]
    header = ("split", "figure", "both", "only A", "only B", "neither", "p (McNemar, exact)")
    return f"{text}\n\n{align(header, rows)}"


def main(arguments: list[str] | None = None) -> int:
    options = parse(CompareOptions, arguments, "compare.py", __doc__.split("\n")[0])
    with bad_input_is_one_line("compare.py"):
        check_output("--json", options.json)
        first, second = read_pair(Path(options.a), Path(options.b))
        differences, discordances = compare_results(first, second, parse_ks(options.k) or POWERS)
    print(f"A: {options.a}\nB: {options.b}\n{len(first)} problems\n\n{to_text(differences, discordances)}")
    if options.json:
        record = {
            "files": [options.a, options.b],
            "problems": len(first),
            "differences": [asdict(d) for d in differences],
            "mcnemar": [asdict(d) for d in discordances],
        }
        write_text(Path(options.json), json.dumps(record, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
