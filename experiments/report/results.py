"""What is known of a problem after an evaluation: a line of `eval.py --per-problem`, and the figures made of them."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from data.problems import Problem, read_lines
from experiments.report.pass_at_k import pass_at_k
from experiments.rollouts.judge import has_passed
from rl.rollout import Rollout

POWERS = (1, 2, 4, 8, 16, 32, 64)  # the k of pass@k, as far as there are samples, where none are asked for


@dataclass(frozen=True)
class Result:
    """One problem.

    task_id, split, tier  as in its set
    greedy                whether the greedy answer passed every test; None where there was none
    n, c                  samples, and how many of them passed every test
    base_greedy, base_c   the same on the benchmark's own tests, without EvalPlus's; None where all tests are its own
    stages, error_types   how many of the samples (where there are none, of the greedy answer) each was
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
    mean_length: float
    length_unit: str

    @property
    def unseen(self) -> bool:
        """As of problems: whether RL trained on no problem of this one's family."""
        return self.split.endswith("/unseen")


def make_results(problems: Sequence[Problem], greedy: Sequence[Rollout], sampled: Sequence[Rollout]) -> list[Result]:
    """Judged rollouts, problem by problem. `greedy` holds one a problem, or nothing."""
    first = {rollout.prompt_id: rollout for rollout in greedy}
    samples: dict[int | str, list[Rollout]] = {problem.task_id: [] for problem in problems}
    for rollout in sampled:
        samples[rollout.prompt_id].append(rollout)
    return [make_result(problem, first.get(problem.task_id), samples[problem.task_id]) for problem in problems]


def make_result(problem: Problem, greedy: Rollout | None, samples: Sequence[Rollout]) -> Result:
    shown = samples or [greedy]
    base = problem.base_tests
    return Result(
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
    """Whether the first `count` tests passed: a benchmark's own stand before those that EvalPlus has added."""
    return all(test.word == "passed" for test in rollout.outcome.tests[:count])


def length(rollout: Rollout) -> int:
    """Tokens; of an answer that was read from a file, characters."""
    return len(rollout.completion) or len(rollout.text)


def length_unit(rollout: Rollout) -> str:
    """What was sampled has a token at least: that of the end."""
    return "tokens" if rollout.completion else "characters"


def rates(results: Sequence[Result], ks: Sequence[int] = POWERS) -> dict[str, list[float]]:
    """Of each figure the values of all problems: {"greedy_pass@1": [1.0, 0.0, ..], "pass@1": .., "base/pass@1": ..}.

    Without "base/", on all tests (EvalPlus's "plus"). Left out are greedy figures where a problem has no greedy answer,
    k above the number of its samples, and "base/" where no problem has base tests; where only some have, the others'
    tests are all base tests.
    """
    found = {}
    samples = min(result.n for result in results)
    for prefix in ("", "base/") if any_base(results) else ("",):
        pairs = [passed(result, prefix) for result in results]
        if all(greedy is not None for greedy, _ in pairs):
            found[f"{prefix}greedy_pass@1"] = [float(greedy) for greedy, _ in pairs]
        for k in ks:
            if k <= samples:
                triples = zip(results, pairs, strict=True)
                found[f"{prefix}pass@{k}"] = [pass_at_k(result.n, correct, k) for result, (_, correct) in triples]
    return found


def any_base(results: Sequence[Result]) -> bool:
    return any(result.base_c is not None for result in results)


def passed(result: Result, prefix: str) -> tuple[bool | None, int]:
    """Greedy, and how many samples; on the base tests where the prefix says so and there are such."""
    if prefix and result.base_c is not None:
        return result.base_greedy, result.base_c
    return result.greedy, result.c


def groups(items: Sequence, name: str) -> dict[str, list]:
    """Problems or results: all of them, those of unseen families, those of each tier: {"test": .., "test/easy": ..}."""
    found = {name: list(items), f"{name}/unseen": [item for item in items if item.unseen]}
    for tier in sorted({item.tier for item in items if item.tier}):
        found[f"{name}/{tier}"] = [item for item in items if item.tier == tier]
    return {name: members for name, members in found.items() if members}


def to_lines(results: Sequence[Result]) -> str:
    """The text of a --per-problem file."""
    return "".join(json.dumps(asdict(result)) + "\n" for result in results)


KINDS = {  # of a field's value in JSON; true is no integer
    "task_id": (int, str),
    "split": (str,),
    "tier": (str,),
    "greedy": (bool, type(None)),
    "n": (int,),
    "c": (int,),
    "base_greedy": (bool, type(None)),
    "base_c": (int, type(None)),
    "stages": (dict,),
    "error_types": (dict,),
    "mean_length": (float, int),
    "length_unit": (str,),
}


def read_results(path: Path) -> dict[int | str, Result]:
    """A --per-problem file, by task_id. ValueError with one line that names file, line and field."""
    found: dict[int | str, Result] = {}
    for where, record in read_lines(path, "result"):
        result = parse_result(record, where)
        if result.task_id in found:
            raise ValueError(f"{where}: task_id: {result.task_id!r} stands above already")
        found[result.task_id] = result
    if not found:
        raise ValueError(f"{path}: holds no result")
    return found


def parse_result(record: dict, where: str) -> Result:
    names = [field.name for field in fields(Result)]
    for name in names:
        if name not in record:
            raise ValueError(f"{where}: {name}: missing; eval.py --per-problem writes such files")
        if type(record[name]) not in KINDS[name]:
            raise ValueError(f"{where}: {name}: {record[name]!r} is not what eval.py --per-problem writes")
    result = Result(**{name: record[name] for name in names})
    if not 0 <= result.c <= (result.n if result.base_c is None else result.base_c) <= result.n:
        raise ValueError(f"{where}: c: {result.c} (base_c: {result.base_c}) of n {result.n} samples")
    return result
