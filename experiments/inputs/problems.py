"""Opens a set of problems for a command: its file is fetched if it is not here, what it lacks is worked out, and its
references are run.

    "mbpp"      the file in the cache, or what fetch.py brings  -->  problems  -->  each reference passes its own tests
    "mbppplus"  likewise; the expected outputs come from the references, run once in the sandbox (expected.py)

Both, outputs and what has passed, are remembered in the cache. The embedded sets are verified by this project's tests.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from data.problems import Problem
from data.sets import evalplus
from data.sets.evalplus import Expected
from data.sets.registry import OWN, SOURCES, STDIN, cache_directory, find, load_problems
from experiments.fetch import fetch
from experiments.inputs.expected import expected_outputs
from experiments.inputs.references import check_references
from experiments.inputs.tasks import start_sandbox


def open_problems(
    name: str,
    splits: Sequence[str],
    *,
    given: str = "",
    skip_broken: bool = False,
    slots: int = 2,
    cpu_seconds: float = 1.0,
    allow_weak: bool = False,
) -> dict[str, list[Problem]]:
    """The problems of each split of a set: a name, a name with "-stdin", or the path of a JSON-lines file.

    given        of a named set: its file, or the directory of its files, instead of the cache
    skip_broken  leave out problems whose reference fails its own tests, with a line for each; else they are an error
    cpu_seconds  as much time as answers will get; those to a problem with a slow reference get more

    Raises ValueError, one line, for whatever is wrong with the set.
    """
    path = Path(given) if given else None
    bare = name.removesuffix(STDIN)
    if bare in SOURCES:
        check_splits(bare, splits)
        if path is None:
            fetch_missing(bare)
    found = load_splits(name, splits, path, slots, allow_weak, skip_broken)
    if bare in OWN:
        return found
    every = {problem.task_id: problem for problems in found.values() for problem in problems}
    kept = check_references(
        list(every.values()),
        lambda limits: start_sandbox(slots, limits, allow_weak),
        cpu_seconds=cpu_seconds,
        skip_broken=skip_broken,
    )
    every = {problem.task_id: problem for problem in kept}
    for split, problems in found.items():
        found[split] = [every[problem.task_id] for problem in problems if problem.task_id in every]
        if not found[split]:
            raise ValueError(f"--data {name}: no problem of {split} is left")
    return found


def check_splits(name: str, splits: Sequence[str]) -> None:
    """ValueError for a split that a named set does not have: better told before it is downloaded."""
    has = SOURCES[name].splits
    if missing := [split for split in splits if split not in (*has, "all")]:
        raise ValueError(f"--data {name}: has no split {missing[0]!r}; it has {', '.join(has)}")


def fetch_missing(name: str) -> None:
    """Downloads a set that is not in the cache, and says under which licence it comes."""
    source = SOURCES[name]
    if not all((cache_directory() / file.name).is_file() for file in source.files):
        print(f"{name} is not in the cache: fetching it. Licence: {source.licence}", file=sys.stderr)
        fetch(name)


def load_splits(
    name: str, splits: Sequence[str], given: Path | None, slots: int, allow_weak: bool, skip_broken: bool = False
) -> dict[str, list[Problem]]:
    """The problems of each split, complete: of EvalPlus's sets with the expected outputs."""
    if not is_evalplus(name):
        return {split: load_problems(name, split, given) for split in splits}
    (path,) = find(name, "all", given)
    records = evalplus.read_tasks(path)
    expected = expected_outputs(path, records, slots, allow_weak, skip_broken)
    tell_left_out(name, expected)
    problems = evalplus.make_problems([record for record in records if record.task_id in expected], expected)
    return {split: [problem for problem in problems if split in ("all", problem.split)] for split in splits}


def ids_of(name: str, given: Path | None) -> list[int | str]:
    """The task_ids of a whole set; nothing is run for it."""
    if not is_evalplus(name):
        return [problem.task_id for problem in load_problems(name, "all", given)]
    (path,) = find(name, "all", given)
    return [record.task_id for record in evalplus.read_tasks(path)]


def is_evalplus(name: str) -> bool:
    return name in SOURCES and SOURCES[name].read is None


def tell_left_out(name: str, expected: Mapping[str, Expected]) -> None:
    """One line on stderr for the inputs that became no tests."""
    counts = {task_id: len(one.left_out) for task_id, one in expected.items() if one.left_out}
    if counts:
        total = sum(len(one.outputs) for one in expected.values())
        which = ", ".join(f"{count} of {task_id}" for task_id, count in counts.items())
        gone = f"{sum(counts.values())} of {total:,} inputs"
        print(f"{name}: left out {gone}, whose outputs are too large for a test: {which}", file=sys.stderr)


def shots(name: str, given: str = "") -> list[Problem]:
    """What a few-shot prompt shows for a set: of MBPP the problems 2, 3 and 4 of its own prompt split, as in its paper.
    For any other set none, and data/prompts.py has some of its own."""
    if name.removesuffix(STDIN) not in ("mbpp", "mbpp-sanitized"):
        return []
    return [p for p in load_problems(name, "prompt", Path(given) if given else None) if p.task_id in (2, 3, 4)]


def fit_prompts(problems: list[Problem], lengths: list[int], most: int, what: str) -> tuple[list[Problem], int]:
    """The problems whose prompt has at most `most` tokens (0: any number), and the longest of these; the others are
    counted on stderr.

    ValueError, one line, where none is left.
    """
    fitting = [problem for problem, length in zip(problems, lengths, strict=True) if not most or length <= most]
    if not fitting:
        raise ValueError(f"--max-prompt-tokens {most}: {what}: the shortest prompt has {min(lengths)}")
    if len(fitting) < len(problems):
        gone = len(problems) - len(fitting)
        print(
            f"{what}: left out {gone} of {len(problems)}, whose prompts have more than {most} tokens", file=sys.stderr
        )
    return fitting, max(length for length in lengths if not most or length <= most)
