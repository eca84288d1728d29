"""What judging costs: tests, Ruff and Bandit over a batch of completions, against a process of each for every one.

    python experiments/bench.py rewards                        128 embedded reference solutions
    python experiments/bench.py rewards --data PATH --json     a JSON-lines file in the shape of MBPP; one JSON object

Four ways, in rounds that alternate between them, nothing known from before:

    tests     the sandbox alone
    analysis  Ruff and Bandit alone, as the trainer has them (rewards/analysis.py)
    both      the two side by side, as in training
    naive     one `ruff` and one `bandit` process for each completion, one after the other, without the tests. On
              --naive completions only, as it is slow; its cost for one does not depend on their number

Reference solutions stand in for completions: all of them parse, so nothing is left out early. Milliseconds are elapsed
time for one completion, the median of the rounds. Run it on an otherwise free machine.
"""

import json
import statistics
import subprocess  # nosec B404
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from data.problems import Problem, load_problems
from experiments.bench_sandbox import Table, as_text, machine
from experiments.options import bad_input_is_one_line, check_at_least, option, parse
from rewards.analysis import SELECT, Analyst, find_ruff
from rewards.analysis_worker import RUFF_OPTIONS
from sandbox import Judge, Task

PROGRAM_NAME = "bench.py rewards"
WAYS = ("tests", "analysis", "both", "naive")


@dataclass
class RewardsBenchOptions:
    data: str = option("embedded", "problems: 'embedded' or a JSON-lines file")
    completions: int = option(128, "completions in a batch")
    repeats: int = option(5, "rounds")
    slots: int = option(2, "slots of the sandbox")
    workers: int = option(1, "processes for Bandit")
    naive: int = option(16, "completions that the naive way is measured on")
    json: bool = option(False, "print one JSON object")


def main(arguments: list[str] | None = None) -> None:
    options = parse(RewardsBenchOptions, arguments, PROGRAM_NAME, __doc__.splitlines()[0])
    with bad_input_is_one_line(PROGRAM_NAME):
        check_at_least(options, 1, "completions", "repeats", "slots", "workers", "naive")
        tasks = make_tasks(load_problems(options.data, "all"), options.completions)
    seconds = measure(tasks, options)
    if options.json:
        print(json.dumps(asdict(options) | {"machine": machine()} | as_record(seconds)))
    else:
        print(f"{machine()}\n\n{as_text(as_table(seconds, options))}")


def make_tasks(problems: Sequence[Problem], count: int) -> list[Task]:
    """Reference solutions with their tests, evenly spaced over the problems, no two of them equal."""
    tasks = []
    for number in range(count):
        problem = problems[number * len(problems) // count]
        program = f"{problem.code.rstrip()}\n# {number}\n"
        task = Task(program, problem.test_list, problem.entry_point, problem.test_setup_code, support=problem.support)
        tasks.append(task)
    return tasks


def measure(tasks: Sequence[Task], options: RewardsBenchOptions) -> dict[str, list[float]]:
    """For each way the seconds for one completion, round by round."""
    programs = [task.program for task in tasks]
    few = programs[: options.naive]
    with Judge(options.slots, allow_weak=True) as judge, Analyst(options.workers, cache=0) as analyst:

        def both() -> None:
            pending = analyst.submit(programs)
            judge.run(tasks)
            pending.results()

        ways: dict[str, tuple[Callable[[], object], int]] = {
            "tests": (lambda: judge.run(tasks), len(tasks)),
            "analysis": (lambda: analyst.run(programs), len(tasks)),
            "both": (both, len(tasks)),
            "naive": (lambda: [analyse_naively(program) for program in few], len(few)),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for round_number in range(options.repeats + 1):
            for way, (run, count) in ways.items():
                start = time.perf_counter()
                run()
                if round_number:  # the first is a warm-up
                    seconds[way].append((time.perf_counter() - start) / count)
    return seconds


def analyse_naively(program: str) -> tuple[list, list]:
    """The reports of Ruff and Bandit, each from a process of its own."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "program.py")
        path.write_bytes(program.encode())
        ruff = [find_ruff(), *RUFF_OPTIONS, "--select", ",".join(SELECT), str(path)]
        bandit = [sys.executable, "-m", "bandit", "-q", "-f", "json", "--ignore-nosec", str(path)]
        # Fixed commands, no shell. Bandit's status is 1 when it has found something.
        style, security = (subprocess.run(one, capture_output=True, check=False).stdout for one in (ruff, bandit))  # nosec B603
    return json.loads(style), json.loads(security)["results"]


def as_record(seconds: dict[str, list[float]]) -> dict:
    """Medians in milliseconds for one completion, and how many times the naive way costs ours."""
    medians = {way: statistics.median(seconds[way]) * 1000 for way in WAYS}
    ratios = {f"naive/{way}": medians["naive"] / medians[way] for way in ("analysis", "both")}
    return {"milliseconds": medians, "ratios": ratios}


def as_table(seconds: dict[str, list[float]], options: RewardsBenchOptions) -> Table:
    record = as_record(seconds)
    rows = []
    for way in WAYS:
        ratio = record["ratios"].get(f"naive/{way}")
        worst = max(seconds[way]) * 1000
        times = f"{ratio:.0f}x" if ratio else ""
        rows.append((way, f"{record['milliseconds'][way]:.2f}", f"{worst:.2f}", times))
    note = f"{options.completions} completions, {options.repeats} rounds; naive: {options.naive}, without the tests."
    return Table("rewards", ("way", "median ms", "worst ms", "naive is"), tuple(rows), note)
