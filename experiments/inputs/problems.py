"""Opens a set of problems for a command.

    "mbpp"      the file in the cache, or downloaded  -->  problems  -->  each reference passes its own tests
    "mbppplus"  likewise; the references give the expected outputs, in the sandbox (expected.py)

This project's tests verify the embedded sets.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from data.problems import Problem
from data.sets import evalplus
from data.sets.registry import OWN, SHOTS, SOURCES, STDIN, cache_directory, find, load_problems
from experiments.inputs.download import fetch
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
    """The problems of each split of a set. ValueError, one line, if anything is wrong with it.

    name         of a set, also with "-stdin"; or the path of a JSON-lines file
    given        of a named set: its file, or the directory of its files, instead of the cache
    skip_broken  leave out problems whose reference fails its own tests, with a line for each; else they are an error
    cpu_seconds  the time limit of an answer; answers to problems with a slow reference get more
    """
    path = Path(given) if given else None
    bare = name.removesuffix(STDIN)
    if bare in SOURCES:
        source = SOURCES[bare]
        if missing := [split for split in splits if split not in (*source.splits, "all")]:
            raise ValueError(f"--data {bare}: has no split {missing[0]!r}; it has {', '.join(source.splits)}")
        if path is None and not all((cache_directory() / file.name).is_file() for file in source.files):
            print(f"{bare} is not in the cache: fetching it. Licence: {source.licence}", file=sys.stderr)
            fetch(bare)
    found = read_splits(name, splits, path, slots, allow_weak, skip_broken)
    if bare in OWN:
        return found
    every = {problem.task_id: problem for problems in found.values() for problem in problems}
    kept = check_references(
        list(every.values()),
        lambda limits: start_sandbox(slots, limits, allow_weak),
        cpu_seconds=cpu_seconds,
        skip_broken=skip_broken,
    )
    by_id = {problem.task_id: problem for problem in kept}
    for split, problems in found.items():
        found[split] = [by_id[problem.task_id] for problem in problems if problem.task_id in by_id]
        if not found[split]:
            raise ValueError(f"--data {name}: no problem of {split} is left")
    return found


def read_splits(
    name: str, splits: Sequence[str], given: Path | None, slots: int, allow_weak: bool, skip_broken: bool = False
) -> dict[str, list[Problem]]:
    """The problems of each split, with expected outputs, before the references run."""
    if not lacks_outputs(name):
        return {split: load_problems(name, split, given) for split in splits}
    (path,) = find(name, "all", given)
    records = evalplus.read_tasks(path)
    expected = expected_outputs(path, records, slots, allow_weak, skip_broken)
    counts = {task_id: len(one.left_out) for task_id, one in expected.items() if one.left_out}
    if counts:
        gone = f"{sum(counts.values())} of {sum(len(one.outputs) for one in expected.values()):,} inputs"
        which = ", ".join(f"{count} of {task_id}" for task_id, count in counts.items())
        print(f"{name}: left out {gone}, whose outputs are too large for a test: {which}", file=sys.stderr)
    problems = evalplus.make_problems([record for record in records if record.task_id in expected], expected)
    return {split: [problem for problem in problems if split in ("all", problem.split)] for split in splits}


def ids_of(name: str, given: Path | None) -> list[int | str]:
    """The task_ids of a whole set, without running anything."""
    if not lacks_outputs(name):
        return [problem.task_id for problem in load_problems(name, "all", given)]
    (path,) = find(name, "all", given)
    return [record.task_id for record in evalplus.read_tasks(path)]


def lacks_outputs(name: str) -> bool:
    """Whether the set's file has inputs without expected outputs, as EvalPlus's have."""
    return name in SOURCES and SOURCES[name].read is None


def shots(name: str, given: str = "") -> list[Problem]:
    """The solved problems that the set names for few-shot prompts; data/prompts.py has others."""
    chosen = SHOTS.get(name.removesuffix(STDIN), ())
    problems = load_problems(name, "prompt", Path(given) if given else None) if chosen else []
    return [problem for problem in problems if problem.task_id in chosen]


def fit_prompts(problems: list[Problem], lengths: list[int], most: int, what: str) -> tuple[list[Problem], int]:
    """The problems whose prompt has at most `most` tokens (0: any number), and the length of the longest of these. A
    line on stderr counts the others. ValueError, one line, if no problem is left."""
    fitting = {i: length for i, length in enumerate(lengths) if not most or length <= most}
    if not fitting:
        raise ValueError(f"--max-prompt-tokens {most}: {what}: the shortest prompt has {min(lengths)}")
    if len(fitting) < len(problems):
        gone = f"{len(problems) - len(fitting)} of {len(problems)}"
        print(f"{what}: left out {gone}, whose prompts have more than {most} tokens", file=sys.stderr)
    return [problems[i] for i in fitting], max(fitting.values())
