"""Runs each problem's reference solution on the problem's own tests, in a sandbox like that of the answers.

A problem whose reference fails says nothing about an answer: its tests are wrong, or the sandbox lacks a module. If a
reference is slow (one of MBPP takes 2.4 s), answers to its problem get more time.

The cache remembers which references passed, and their time. One that failed runs again: the machine may have been busy.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from data.problems import Problem
from data.sets.evalplus import EvalPlusTask
from data.sets.registry import cache_directory
from experiments.files import recall, remember
from experiments.inputs.tasks import make_task, program_limits
from sandbox import Limits, Outcome, Sandbox, Stage, Task, Verdict

VERSION = 4  # of the cache file
ROOM = 4  # an answer gets this times the reference's time, as in EvalPlus
LONGEST = 30.0  # CPU seconds that a reference may take for all its tests
SHOWN = 5  # broken problems that get a line of their own
TEXT = 100  # characters of a test that are shown

Kind = TypeVar("Kind", Problem, EvalPlusTask)


@dataclass(frozen=True)
class Broken:
    """A problem whose reference fails: the first test or input on which it does, and what happens."""

    task_id: int | str
    test: str
    what: str

    def __str__(self) -> str:
        return f"problem {self.task_id}: its own reference fails {self.test}: {self.what}"


def check_references(
    problems: Sequence[Problem], start: Callable[[Limits], Sandbox], *, cpu_seconds: float, skip_broken: bool = False
) -> list[Problem]:
    """The problems whose reference does not fail, with a time limit of their own if it is slow.

    start        starts a sandbox with these limits; not called if all are known to pass
    cpu_seconds  the time limit of an answer, unless its problem has its own
    skip_broken  as in leave_out
    """
    limits = program_limits(max(cpu_seconds, LONGEST))
    path = cache_path(problems, limits)
    # 1 and "1" are two problems, but names in JSON are texts: each name is JSON itself.
    seconds = {json.loads(name): value for name, value in recall(path, "the references").items()}
    broken: list[Broken] = []
    unknown = [problem for problem in problems if problem.code and problem.task_id not in seconds]
    if unknown:
        with start(limits) as judge:
            broken, fresh = verify(unknown, judge)
        seconds |= fresh
        remember(path, {json.dumps(name): value for name, value in seconds.items()}, "the references")
    kept = leave_out(problems, broken, skip_broken)
    return [give_room(problem, seconds.get(problem.task_id, 0.0), cpu_seconds) for problem in kept]


def give_room(problem: Problem, seconds: float, cpu_seconds: float) -> Problem:
    """The problem, with its set's time limit, or ROOM times its reference's time, if that is above the usual limit."""
    needed = problem.cpu_seconds or round(ROOM * seconds, 2)
    return replace(problem, cpu_seconds=needed if needed > cpu_seconds else 0.0)


def verify(problems: Sequence[Problem], judge: Sandbox) -> tuple[list[Broken], dict[int | str, float]]:
    """The references that fail, in the order of the problems; and the CPU seconds of the others, by task_id."""
    outcomes = run_with_bar(judge, [make_task(problem, problem.code) for problem in problems], "verify references")
    broken, seconds = [], {}
    for problem, outcome in zip(problems, outcomes, strict=True):
        if outcome.stage == Stage.PASSED:
            seconds[problem.task_id] = outcome.cpu_seconds
        else:
            number, verdict = next((i, v) for i, v in enumerate(outcome.tests) if v.word != "passed")
            test = f"test {number + 1} ({shorten(problem.tests[number])})"
            broken.append(Broken(problem.task_id, test, describe_failure(verdict, outcome)))
    return broken, seconds


def run_with_bar(judge: Sandbox, tasks: Sequence[Task], what: str) -> list[Outcome]:
    """The outcomes of the tasks, in their order, with a progress bar on stderr."""
    with tqdm(total=len(tasks), desc=what, unit="problem", file=sys.stderr, leave=False) as bar:
        outcomes: dict[int, Outcome] = {}
        for index, outcome in judge.stream(tasks):
            outcomes[index] = outcome
            bar.update()
    return [outcomes[index] for index in range(len(tasks))]


def leave_out(problems: Sequence[Kind], broken: Sequence[Broken], skip_broken: bool) -> list[Kind]:
    """The problems that are not broken. `skip_broken` names the others on stderr; without it they are a ValueError.
    ValueError, too, if no problem is left."""
    if broken and not skip_broken:
        more = f" (and {len(broken) - 1} more problems)" if len(broken) > 1 else ""
        raise ValueError(f"{broken[0]}{more}; --skip-broken leaves such problems out")
    for one in broken[:SHOWN]:
        print(f"left out: {one}", file=sys.stderr)
    if len(broken) > SHOWN:
        print(f"left out: {len(broken) - SHOWN} more problems whose own reference fails", file=sys.stderr)
    names = {one.task_id for one in broken}
    kept = [problem for problem in problems if problem.task_id not in names]
    if not kept:
        raise ValueError(f"no problem is left: the references of all {len(broken)} fail")
    return kept


def describe_failure(verdict: Verdict, outcome: Outcome) -> str:
    """What happened in a test that did not pass, in a few words."""
    line = verdict.line or outcome.line
    if verdict.word == "wrong":
        return "wrong" if verdict.value is None else f"got {shorten(verdict.value)}"
    if outcome.timeout and verdict.word in ("timeout", "not run"):
        return f"out of time ({outcome.timeout}), after {outcome.cpu_seconds:.1f} s of CPU time"
    return f"{verdict.error_type or outcome.error_type}{f' in line {line}' if line else ''}"


def shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= TEXT else text[: TEXT - 3] + "..."


def cache_path(problems: Sequence[Problem], limits: Limits) -> Path:
    """The cache file, named by all that decides whether a reference passes."""
    facts = [VERSION, sys.version_info[:3], asdict(limits), [asdict(problem) for problem in problems]]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return cache_directory() / "verified" / f"{digest}.json"
