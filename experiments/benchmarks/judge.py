"""Our sandbox on correct programs, and on the same programs with one mistake each.

    python experiments/bench.py judge --data DIR           DIR holds mbpp/mbpp.jsonl and humaneval/HumanEval.jsonl
    python experiments/bench.py judge --data mbpp.jsonl    one of the two files
    python experiments/bench.py judge                      what `fetch.py mbpp` and `fetch.py humaneval` have fetched

First table: the reference solutions, which all must pass, and the seconds without the start of the sandbox. Second
table: MBPP's references with one mistake each (mutants.py), at every possible place. plain_judge.py finds out without
our sandbox which mutants are wrong.

    output changed  the entry point returned something else than the reference's, or the mutant is wrong
    wrong           an assert failed, or the mutant raised, or it needed more than max(1 s, 4 x the reference)
    judged failed   of the wrong ones; all of them must be
    right, passed   those that no test shows to be wrong, and how many of these passed

A mutant may change an output and be right: `assert set(f(x)) == {1, 2}`. Exit status 1 if a reference fails or a wrong
mutant passes.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data.problems import Problem
from data.sets.registry import load_problems
from experiments.benchmarks.mutants import MISTAKES, mutants
from experiments.benchmarks.tools import BenchTable, describe_machine, run_in_batches
from experiments.inputs.tasks import make_task, program_limits
from experiments.options import bad_input_is_one_line, option, parse
from sandbox import Limits, Sandbox, Stage

SETS = ("MBPP", "HumanEval")
# Wide: the machine may be busy.
REFERENCE_LIMITS = Limits(
    test_cpu_seconds=5.0, test_wall_seconds=30.0, program_cpu_seconds=15.0, program_wall_seconds=60.0
)
PLAIN_JUDGE = (sys.executable, "-I", "-B", str(Path(__file__).with_name("plain_judge.py")))
MUTANT_SECONDS = 1.0  # of CPU time for all tests: a mutant that loops forever does so on most tests


@dataclass
class JudgeBenchOptions:
    data: str = option("", "directory with both files, or one of them; default: what fetch.py has fetched")
    slots: int = option(2, "slots of the sandbox, and processes of the plain judge", least=1)
    every: int = option(1, "take every Nth problem only", least=1)


@dataclass(frozen=True)
class Mutant:
    """A program with one mistake, and the verdicts on it."""

    problem: Problem
    mistake: str
    program: str
    changed: bool  # an output, by the plain judge
    wrong: bool  # on a test, by the plain judge
    cpu_seconds: float = 0.0  # limit for each test in our sandbox if the reference is slow: 4 x its time; else 0
    passed: bool = False  # in our sandbox


def main(arguments: list[str] | None = None) -> None:
    options = parse(JudgeBenchOptions, arguments, "bench.py judge", __doc__.splitlines()[0])
    with bad_input_is_one_line("bench.py judge"):
        sets = {name: problems[:: options.every] for name, problems in read_sets(options.data).items()}
    failed, seconds = judge_references(sets, options.slots)
    found = judge_mutants(plain_mutants(sets.get("MBPP", []), options.slots), options.slots)
    print(f"{describe_machine()}\n")
    rows = [(name, *map(str, (len(sets[name]), len(sets[name]) - len(failed[name]), seconds[name]))) for name in sets]
    note = "The bar for all 974 and 164 problems on 2 slots: 60 s for MBPP, 15 s for HumanEval."
    print(BenchTable("references", ("set", "problems", "passed", "seconds"), rows, note).text())
    if found:
        by_mistake = {mistake: count([m for m in found if m.mistake == mistake]) for mistake in MISTAKES}
        rows = [(name, *map(str, counts.values())) for name, counts in (by_mistake | {"all": count(found)}).items()]
        note = "Every wrong mutant must be judged failed."
        print("\n" + BenchTable("mutants of MBPP's references", ("mistake", *count(found)), rows, note).text())
    errors = [f"{name} {task_id}: the reference fails" for name in sets for task_id in failed[name]]
    errors += [f"MBPP {m.problem.task_id}: passes: {m.mistake}:\n{m.program}" for m in found if m.wrong and m.passed]
    for error in errors:
        print(error, file=sys.stderr)
    if errors:
        raise SystemExit(1)


def read_sets(data: str) -> dict[str, list[Problem]]:
    """Problems by the name of their set. ValueError if a file is missing."""
    if data and Path(data).is_file():
        with open(data, encoding="utf-8") as lines:
            name = "HumanEval" if '"canonical_solution"' in lines.readline() else "MBPP"
        return {name: load_problems(name.lower(), "all", Path(data))}
    directories = {name: Path(data, name.lower()) if data else None for name in SETS}
    for directory in directories.values():
        if directory and not directory.is_dir():
            raise ValueError(f"--data {data}: no directory {directory}")
    return {name: load_problems(name.lower(), "all", directory) for name, directory in directories.items()}


def judge_references(sets: dict[str, list[Problem]], slots: int) -> tuple[dict[str, list[int | str]], dict[str, float]]:
    """By set: the ids of the problems whose reference does not pass, and the seconds of judging all references."""
    failed, seconds = {}, {}
    with Sandbox(slots, REFERENCE_LIMITS) as sandbox:
        for name, problems in sets.items():
            tasks = [make_task(problem, problem.code) for problem in problems]
            start = time.perf_counter()
            outcomes = sandbox.run(tasks)
            seconds[name] = round(time.perf_counter() - start, 1)
            pairs = zip(problems, outcomes, strict=True)
            failed[name] = [problem.task_id for problem, outcome in pairs if outcome.stage != Stage.PASSED]
    return failed, seconds


def plain_mutants(problems: Sequence[Problem], processes: int, seconds: float = MUTANT_SECONDS) -> list[Mutant]:
    """Every mutant of the references with the plain judge's verdict; `seconds` is its smallest time limit."""
    made = [
        [(mistake, program) for mistake in MISTAKES for program in mutants(problem.code, problem.entry_point, mistake)]
        for problem in problems
    ]
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
    records = run_in_batches(PLAIN_JUDGE, jobs, processes, {})
    found = []
    for problem, some, (reference, *others) in zip(problems, made, records, strict=True):
        right = ["passed"] * len(problem.test_list)
        if reference["verdicts"] != right:
            raise RuntimeError(f"MBPP {problem.task_id}: the reference fails without the sandbox: {reference}")
        limit = 4 * reference["seconds"]
        for (mistake, program), record in zip(some, others, strict=True):
            wrong = record["verdicts"] != right
            changed = wrong or record["outputs"] != reference["outputs"]
            found.append(Mutant(problem, mistake, program, changed, wrong, limit if limit > seconds else 0.0))
    return found


def judge_mutants(found: Sequence[Mutant], slots: int, seconds: float = MUTANT_SECONDS) -> list[Mutant]:
    """The same mutants with our sandbox's verdict."""
    tasks = [make_task(replace(mutant.problem, cpu_seconds=mutant.cpu_seconds), mutant.program) for mutant in found]
    with Sandbox(slots, program_limits(seconds)) as sandbox:
        outcomes = sandbox.run(tasks)
    pairs = zip(found, outcomes, strict=True)
    return [replace(mutant, passed=outcome.stage == Stage.PASSED) for mutant, outcome in pairs]


def count(found: Sequence[Mutant]) -> dict[str, int]:
    """The columns of the second table; see the top of this file."""
    return {
        "mutants": len(found),
        "output changed": sum(m.changed for m in found),
        "wrong": sum(m.wrong for m in found),
        "judged failed": sum(m.wrong and not m.passed for m in found),
        "right": sum(not m.wrong for m in found),
        "passed": sum(not m.wrong and m.passed for m in found),
    }
