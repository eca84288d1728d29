"""The result of each problem of an evaluation, the lines of `eval.py --per-problem`, and figures made of results."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import UnionType
from typing import get_args, get_origin, get_type_hints

from data.problems import Problem, get, read_lines
from experiments.report.pass_at_k import pass_at_k
from experiments.rollouts.judge import has_passed
from rl.rollout import Rollout

POWERS = (1, 2, 4, 8, 16, 32, 64)  # the default k of pass@k, as far as there are samples


@dataclass(frozen=True)
class ProblemResult:
    """One problem.

    task_id, split, tier  as in its set
    greedy                whether the greedy answer passed every test; None if there was none
    n, c                  samples, and how many of them passed every test
    base_greedy, base_c   the same on the benchmark's own tests, without EvalPlus's; None if all tests are its own
    stages, error_types   counts over the samples (over the greedy answer if there are none)
    mean_length           of the same answers, in `length_unit`: "tokens", or "characters" of samples from a file
    """

    task_id: int | str
    split: str
    tier: str
    greedy: bool | None
    n: int
    c: int
    base_greedy: bool | None
    base_c: int | None
    stages: dict[str, int]
    error_types: dict[str, int]
    mean_length: float | int
    length_unit: str

    @property
    def unseen(self) -> bool:
        """As Problem.unseen: whether RL trained on no problem of this one's family."""
        return self.split.endswith("/unseen")


def make_results(
    problems: Sequence[Problem], greedy: Sequence[Rollout], sampled: Sequence[Rollout]
) -> list[ProblemResult]:
    """Results of judged rollouts. `greedy` holds one rollout of each problem, or is empty."""
    first = {rollout.prompt_id: rollout for rollout in greedy}
    samples: dict[int | str, list[Rollout]] = {problem.task_id: [] for problem in problems}
    for rollout in sampled:
        samples[rollout.prompt_id].append(rollout)
    return [make_result(problem, first.get(problem.task_id), samples[problem.task_id]) for problem in problems]


def make_result(problem: Problem, greedy: Rollout | None, samples: Sequence[Rollout]) -> ProblemResult:
    shown = samples or [greedy]
    base = problem.base_tests
    return ProblemResult(
        task_id=problem.task_id,
        split=problem.split,
        tier=problem.tier,
        greedy=None if greedy is None else has_passed(greedy),
        n=len(samples),
        c=sum(map(has_passed, samples)),
        base_greedy=None if greedy is None or not base else passed_first(greedy, base),
        base_c=sum(passed_first(rollout, base) for rollout in samples) if base else None,
        stages=dict(Counter(rollout.outcome.stage.name for rollout in shown)),
        error_types=dict(Counter(rollout.outcome.error_type or "none" for rollout in shown)),
        mean_length=sum(map(length, shown)) / len(shown),
        length_unit=length_unit(shown[0]),
    )


def passed_first(rollout: Rollout, count: int) -> bool:
    """Whether the first `count` tests passed. The benchmark's own tests come before EvalPlus's."""
    return all(test.word == "passed" for test in rollout.outcome.tests[:count])


def length(rollout: Rollout) -> int:
    """Tokens of a sampled answer (at least one), characters of an answer from a file."""
    return len(rollout.completion) or len(rollout.text)


def length_unit(rollout: Rollout) -> str:
    return "tokens" if rollout.completion else "characters"


def rates(results: Sequence[ProblemResult], ks: Sequence[int] = POWERS) -> dict[str, list[float]]:
    """The values of all problems for each figure: {"greedy_pass@1": [1.0, 0.0, ..], "pass@1": .., "base/pass@1": ..}.

    "base/" counts the benchmark's own tests (all tests of a problem without base tests). Left out: greedy figures if a
    problem has no greedy answer, pass@k for k above the number of samples, "base/" if no problem has base tests.
    """
    found = {}
    samples = min(result.n for result in results)
    any_base = any(result.base_c is not None for result in results)
    for prefix in ("", "base/") if any_base else ("",):
        base = [bool(prefix) and result.base_c is not None for result in results]
        greedy = [r.base_greedy if own else r.greedy for r, own in zip(results, base, strict=True)]
        correct = [r.base_c if own else r.c for r, own in zip(results, base, strict=True)]
        if None not in greedy:
            found[f"{prefix}greedy_pass@1"] = [float(passed) for passed in greedy]
        for k in ks:
            if k <= samples:
                found[f"{prefix}pass@{k}"] = [pass_at_k(r.n, c, k) for r, c in zip(results, correct, strict=True)]
    return found


def parse_ks(text: str) -> list[int]:
    """The k of a --k option, in rising order; [] for ""."""
    parts = text.split(",") if text else []
    if not all(part.strip().isdecimal() and int(part) for part in parts):
        raise ValueError(f"--k {text}: needs whole numbers of at least 1, with commas between them")
    return sorted({int(part) for part in parts})


def groups(items: Sequence, name: str) -> dict[str, list]:
    """Problems or results: all, those of unseen families, and each tier: {"test": .., "test/unseen": .., ..}."""
    found = {name: list(items), f"{name}/unseen": [item for item in items if item.unseen]}
    for tier in sorted({item.tier for item in items if item.tier}):
        found[f"{name}/{tier}"] = [item for item in items if item.tier == tier]
    return {name: members for name, members in found.items() if members}


# The file of --per-problem --------------------------------------------------------------------------------------

KINDS = {  # of each field in JSON
    name: get_args(hint) if isinstance(hint, UnionType) else get_origin(hint) or hint
    for name, hint in get_type_hints(ProblemResult).items()
}


def to_lines(results: Sequence[ProblemResult]) -> str:
    """The text of a --per-problem file."""
    return "".join(json.dumps(asdict(result)) + "\n" for result in results)


def read_results(path: Path) -> dict[int | str, ProblemResult]:
    """A --per-problem file, by task_id. ValueError, one line, names file, line and field."""
    found: dict[int | str, ProblemResult] = {}
    for where, record in read_lines(path, "result"):
        result = ProblemResult(**{name: get(record, name, kinds, where) for name, kinds in KINDS.items()})
        if not 0 <= result.c <= (result.n if result.base_c is None else result.base_c) <= result.n:
            raise ValueError(f"{where}: c: {result.c} (base_c: {result.base_c}) of n {result.n} samples")
        if result.task_id in found:
            raise ValueError(f"{where}: task_id: {result.task_id!r} stands above already")
        found[result.task_id] = result
    if not found:
        raise ValueError(f"{path}: holds no result")
    return found
