"""Whether each problem's reference solution passes the problem's own tests, in a sandbox like that of the answers.

A problem whose reference fails says nothing about an answer: its tests are wrong, or it needs a module that the sandbox
does not have. Better told before a run than found in its curves. One whose reference is slow (MBPP has one, of 2.4 s)
gives its answers more time than the others: ROOM times what the reference took.

What has passed, and the time that it took, is remembered in the cache (data.sets.cache_directory), by the content of
the problems, the limits and Python's version, and is not run again. What failed is run again each time: the machine
may have been busy.
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
from experiments.files import remember
from experiments.inputs.tasks import make_task, program_limits
from sandbox import Limits, Outcome, Sandbox, Stage, Task, Verdict

VERSION = 3  # of what is remembered
ROOM = 4  # times what its reference takes: the time of an answer, as EvalPlus has it
LONGEST = 30.0  # CPU seconds that a reference may take for all its tests
SHOWN = 5  # broken problems that get a line of their own
TEXT = 100  # characters of a test that are shown


Kind = TypeVar("Kind", Problem, EvalPlusTask)


@dataclass(frozen=True)
class Broken:
    """A problem whose reference fails: the first test or input on which it did, and what happened."""

    task_id: int | str
    test: str
    what: str

    def __str__(self) -> str:
        return f"problem {self.task_id}: its own reference fails {self.test}: {self.what}"


def check_references(
    problems: Sequence[Problem], start: Callable[[Limits], Sandbox], *, cpu_seconds: float, skip_broken: bool = False
) -> list[Problem]:
    """The problems, less those whose reference fails, and with room for those whose reference is slow; problems without
    a reference are left as they are.

    start        gives a sandbox with these limits; not asked where all are known to pass
    cpu_seconds  of an answer, unless its problem says otherwise
    skip_broken  each problem that is left out is a line on stderr (of many the first few, and a count); without it the
                 first one is a ValueError, one line. ValueError, too, where none is left
    """
    limits = program_limits(max(cpu_seconds, LONGEST))
    path = memory_path(problems, limits)
    seconds, broken = read_seconds(path), []
    unknown = [problem for problem in problems if problem.code and problem.task_id not in seconds]
    if unknown:
        with start(limits) as judge:
            broken, fresh = verify(unknown, judge)
        seconds |= fresh
        # JSON's names are texts, and 1 and "1" are two problems: so each name is JSON itself.
        remember(path, json.dumps({json.dumps(name): s for name, s in seconds.items()}) + "\n", "the references")
    kept = leave_out(problems, broken, skip_broken)
    return [give_room(problem, seconds.get(problem.task_id, 0.0), cpu_seconds) for problem in kept]


def give_room(problem: Problem, seconds: float, cpu_seconds: float) -> Problem:
    """The problem with a time limit of its own if it needs more than the usual one: what its set says, else ROOM times
    what its reference takes. None has less than the others."""
    needed = problem.cpu_seconds or round(ROOM * seconds, 2)
    return replace(problem, cpu_seconds=needed if needed > cpu_seconds else 0.0)


def verify(problems: Sequence[Problem], judge: Sandbox) -> tuple[list[Broken], dict[int | str, float]]:
    """Runs the reference of every problem that has one. Returns those that fail, in the order of the problems, and of
    each other one the CPU seconds that it took, by its task_id."""
    judged = [problem for problem in problems if problem.code]
    outcomes = run_with_bar(judge, [make_task(problem, problem.code) for problem in judged], "verify references")
    broken, seconds = [], {}
    for problem, outcome in zip(judged, outcomes, strict=True):
        if outcome.stage == Stage.PASSED:
            seconds[problem.task_id] = outcome.cpu_seconds
        else:
            broken.append(Broken(problem.task_id, *explain(problem, outcome)))
    return broken, seconds


def run_with_bar(judge: Sandbox, tasks: Sequence[Task], what: str) -> list[Outcome]:
    """What becomes of the tasks, in their order, with a bar on stderr meanwhile."""
    outcomes: dict[int, Outcome] = {}
    with tqdm(total=len(tasks), desc=what, unit="problem", file=sys.stderr, leave=False) as bar:
        for index, outcome in judge.stream(tasks):
            outcomes[index] = outcome
            bar.update()
    return [outcomes[index] for index in range(len(tasks))]


def leave_out(problems: Sequence[Kind], broken: Sequence[Broken], skip_broken: bool) -> list[Kind]:
    """What check_references does with what it has found; `problems` are anything that has a task_id."""
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


def explain(problem: Problem, outcome: Outcome) -> tuple[str, str]:
    """The first test that was not passed, by number and text, and what happened in it."""
    number, verdict = next((i, v) for i, v in enumerate(outcome.tests) if v.word != "passed")
    return f"test {number + 1} ({shorten(problem.tests[number])})", describe(verdict, outcome)


def describe(verdict: Verdict, outcome: Outcome) -> str:
    """What happened, in a few words."""
    place = f" in line {verdict.line or outcome.line}" if verdict.line or outcome.line else ""
    if verdict.word == "wrong":
        return "wrong" if verdict.value is None else f"got {shorten(verdict.value)}"
    if outcome.timeout and verdict.word in ("timeout", "not run"):
        return f"out of time ({outcome.timeout}), after {outcome.cpu_seconds:.1f} s of CPU time"
    return f"{verdict.error_type or outcome.error_type}{place}"


def shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= TEXT else text[: TEXT - 3] + "..."


# What is remembered -------------------------------------------------------------------------------------------


def read_seconds(path: Path) -> dict[int | str, float]:
    """CPU seconds of the references that have passed. A file that is not of ours counts as none, and is told."""
    if not path.is_file():
        return {}
    try:
        return {json.loads(name): float(seconds) for name, seconds in json.loads(path.read_bytes()).items()}
    except (ValueError, TypeError, AttributeError):
        print(f"{path}: damaged; the references are run again", file=sys.stderr)
        return {}


def memory_path(problems: Sequence[Problem], limits: Limits) -> Path:
    """Named by all that decides: another test, another limit or another Python is another file."""
    facts = [VERSION, sys.version_info[:3], asdict(limits), [asdict(problem) for problem in problems]]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return cache_directory() / "verified" / f"{digest}.json"
