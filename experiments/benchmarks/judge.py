"""What the judge makes of programs that are right, and of the same with one mistake in them.

    python experiments/bench.py judge --data DIR           DIR holds mbpp/mbpp.jsonl and humaneval/HumanEval.jsonl
    python experiments/bench.py judge --data mbpp.jsonl    one of the two
    python experiments/bench.py judge                      what `fetch.py mbpp` and `fetch.py humaneval` have fetched

First table: the reference solutions, all of which have to pass, and the seconds that this takes, starting the judge
not included. Second table: MBPP's references with one mistake each (mutants.py says of which kinds, each of them at
every place where it can be). Which mutants are wrong on their tests is found without the judge: plain_judge.py runs
reference and mutant in forked processes with `exec` and compares.

    output changed  the entry point returned something else than the reference's, or the mutant is wrong
    wrong           a test's assert failed, or the mutant raised, or did not end within max(1 s, 4 x the reference)
    judged failed   of those that are wrong: all of them have to be
    right, passed   of those that no test shows to be wrong

A mutant may change an output and be right: `assert set(f(x)) == {1, 2}`. Exit status 1 where a reference fails or
a wrong mutant passes; each of them is named.
"""

import json
import subprocess  # nosec B404: plain_judge.py
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from experiments import threads  # noqa: F401 - first: it must come before torch

# isort: split
from data.problems import Problem
from data.sets import humaneval, mbpp
from data.sets.registry import load_problems
from experiments.benchmarks.mutants import KINDS, mutants
from experiments.benchmarks.sandbox import Table, as_text, machine
from experiments.inputs.tasks import make_task
from experiments.options import bad_input_is_one_line, check_at_least, option, parse
from sandbox import Limits, Sandbox, Stage

PROGRAM_NAME = "bench.py judge"
FILES = {"MBPP": Path("mbpp/mbpp.jsonl"), "HumanEval": Path("humaneval/HumanEval.jsonl")}
READ = {"MBPP": mbpp.read, "HumanEval": humaneval.read}
BARS = {"MBPP": 60.0, "HumanEval": 15.0}  # seconds on 2 slots

# Wide: that a reference runs out of time on a busy machine says nothing about the judge.
WIDE = Limits(test_cpu_seconds=5.0, test_wall_seconds=30.0, program_cpu_seconds=15.0, program_wall_seconds=60.0)
MUTANT_SECONDS = 1.0  # of CPU time, for all tests: a mutant that loops for ever does so on most of them
BATCH = 20  # problems that one process of plain_judge.py is given


@dataclass
class JudgeBenchOptions:
    data: str = option("", "directory with both files, or one of them; else what fetch.py has fetched")
    slots: int = option(2, "slots of the sandbox, and processes of the plain judge")
    every: int = option(1, "take every Nth problem only")
    json: bool = option(False, "print one JSON object")


@dataclass(frozen=True)
class Mutant:
    """A program with one mistake, and what became of it."""

    problem: Problem
    kind: str
    program: str
    changed: bool  # an output, by the plain judge
    wrong: bool  # on a test, by the plain judge
    slow: float = 0.0  # CPU seconds that each test has in the judge, where the reference is slow: 4 x its own
    passed: bool = False  # in our judge


def main(arguments: list[str] | None = None) -> None:
    options = parse(JudgeBenchOptions, arguments, PROGRAM_NAME, __doc__.splitlines()[0])
    with bad_input_is_one_line(PROGRAM_NAME):
        check_at_least(options, 1, "slots", "every")
        sets = {name: problems[:: options.every] for name, problems in read_sets(options.data).items()}
    failed, seconds = judge_references(sets, options.slots)
    found = judge_mutants(plain_mutants(sets.get("MBPP", []), options.slots), options.slots)
    if options.json:
        print(json.dumps(as_record(sets, failed, seconds, found) | asdict(options) | {"machine": machine()}))
    else:
        print(f"{machine()}\n\n{as_text(reference_table(sets, failed, seconds))}")
        if found:
            print(f"\n{as_text(mutant_table(found))}")
    mistakes = [f"{name} {task_id}: the reference fails" for name in sets for task_id in failed[name]]
    mistakes += [f"MBPP {m.problem.task_id}: passes: {m.kind}:\n{m.program}" for m in found if m.wrong and m.passed]
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    if mistakes:
        raise SystemExit(1)


def read_sets(data: str) -> dict[str, list[Problem]]:
    """Problems by the name of their set, in one of the three ways of the docstring above."""
    path = Path(data)
    if not data:
        return {name: load_problems(name.lower(), "all") for name in FILES}
    if path.is_file():
        with path.open(encoding="utf-8") as lines:
            name = "HumanEval" if '"canonical_solution"' in lines.readline() else "MBPP"
        return {name: READ[name](path)}
    missing = [str(path / file) for file in FILES.values() if not (path / file).is_file()]
    if missing:
        raise ValueError(f"--data {data}: no file {missing[0]}")
    return {name: READ[name](path / file) for name, file in FILES.items()}


def judge_references(sets: dict[str, list[Problem]], slots: int) -> tuple[dict[str, list[int | str]], dict[str, float]]:
    """Of each set the ids of the problems whose reference does not pass, and the seconds that judging it took."""
    failed, seconds = {}, {}
    with Sandbox(slots, WIDE) as judge:
        for name, problems in sets.items():
            tasks = [make_task(problem, problem.code) for problem in problems]
            start = time.perf_counter()
            outcomes = judge.run(tasks)
            seconds[name] = time.perf_counter() - start
            pairs = zip(problems, outcomes, strict=True)
            failed[name] = [problem.task_id for problem, outcome in pairs if outcome.stage != Stage.PASSED]
    return failed, seconds


def plain_mutants(problems: Sequence[Problem], processes: int, seconds: float = MUTANT_SECONDS) -> list[Mutant]:
    """Every mutant of the references, with what the plain judge says of it; `seconds` is its least time limit."""
    made = [[(kind, program) for kind in KINDS for program in mutants(p.code, p.entry_point, kind)] for p in problems]
    jobs = [
        {
            "programs": [problem.code, *(program for _, program in some)],
            "tests": problem.test_list,
            "setup": problem.test_setup_code,
            "entry_point": problem.entry_point,
            "least_seconds": seconds,
        }
        for problem, some in zip(problems, made, strict=True)
    ]
    batches = [jobs[start : start + BATCH] for start in range(0, len(jobs), BATCH)]
    with ThreadPoolExecutor(processes) as pool:
        records = [record for batch in pool.map(run_plain_judge, batches) for record in batch]
    found = []
    for problem, some, (reference, *others) in zip(problems, made, records, strict=True):
        right = ["passed"] * len(problem.test_list)
        if reference["verdicts"] != right:
            raise RuntimeError(f"MBPP {problem.task_id}: the reference fails without the judge: {reference}")
        limit = 4 * reference["seconds"]
        slow = limit if limit > seconds else 0.0
        for (kind, program), record in zip(some, others, strict=True):
            wrong = record["verdicts"] != right
            changed = wrong or record["outputs"] != reference["outputs"]
            found.append(Mutant(problem, kind, program, changed, wrong, slow))
    return found


def run_plain_judge(jobs: list[dict]) -> list[list[dict]]:
    """One process of plain_judge.py, in a directory of its own that is removed afterwards."""
    script = Path(__file__).with_name("plain_judge.py").resolve()
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(  # nosec B603: our own script
            [sys.executable, "-I", "-B", str(script)],
            input=json.dumps(jobs),
            capture_output=True,
            text=True,
            cwd=directory,
            env={},
        )
    if done.returncode != 0:
        raise RuntimeError(f"plain_judge.py ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def judge_mutants(found: Sequence[Mutant], slots: int, seconds: float = MUTANT_SECONDS) -> list[Mutant]:
    """The same with what our judge says."""
    limits = Limits(
        test_cpu_seconds=seconds,
        test_wall_seconds=5 * seconds,
        program_cpu_seconds=seconds,
        program_wall_seconds=5 * seconds,
    )
    tasks = [make_task(replace(mutant.problem, cpu_seconds=mutant.slow), mutant.program) for mutant in found]
    with Sandbox(slots, limits) as judge:
        outcomes = judge.run(tasks)
    pairs = zip(found, outcomes, strict=True)
    return [replace(mutant, passed=outcome.stage == Stage.PASSED) for mutant, outcome in pairs]


def reference_table(sets: dict, failed: dict, seconds: dict) -> Table:
    rows = tuple(
        (
            name,
            str(len(problems)),
            str(len(problems) - len(failed[name])),
            f"{seconds[name]:.1f}",
            f"{BARS[name]:.0f}",
        )
        for name, problems in sets.items()
    )
    note = "Seconds are to stay below the bar, which is for all 974 and 164 problems on 2 slots."
    return Table("references", ("set", "problems", "passed", "seconds", "bar"), rows, note)


def mutant_table(found: Sequence[Mutant]) -> Table:
    rows = [(kind, *map(str, counts([m for m in found if m.kind == kind]).values())) for kind in KINDS]
    rows.append(("all", *map(str, counts(found).values())))
    note = "Every mutant that is wrong has to be judged failed."
    return Table("mutants of MBPP's references", ("kind", *counts(found)), tuple(rows), note)


def counts(found: Sequence[Mutant]) -> dict[str, int]:
    """The columns of the table; the docstring above says what they are."""
    return {
        "mutants": len(found),
        "output changed": sum(m.changed for m in found),
        "wrong": sum(m.wrong for m in found),
        "judged failed": sum(m.wrong and not m.passed for m in found),
        "right": sum(not m.wrong for m in found),
        "passed": sum(not m.wrong and m.passed for m in found),
    }


def as_record(sets: dict, failed: dict, seconds: dict, found: Sequence[Mutant]) -> dict:
    """The same as plain data."""
    references = {
        name: {"problems": len(problems), "failed": failed[name], "seconds": seconds[name]}
        for name, problems in sets.items()
    }
    by_kind = {kind: counts([m for m in found if m.kind == kind]) for kind in KINDS} if found else {}
    return {"references": references, "mutants": by_kind}
