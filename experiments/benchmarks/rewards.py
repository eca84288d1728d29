"""What judging costs: tests, Ruff and Bandit over a batch of completions, against a process of each for every one.

    python experiments/bench.py rewards                        128 embedded reference solutions
    python experiments/bench.py rewards --data PATH --json     a JSON-lines file in the shape of MBPP; one JSON object

Four ways, in rounds that alternate between them, nothing known from before:

    tests     the sandbox alone
    analysis  Ruff and Bandit alone, as the trainer has them (rewards/linters/pool.py)
    both      the two side by side, as in training
    naive     one `ruff` and one `bandit` process for each completion, one after the other, without the tests. On
              --naive completions only, as it is slow; its cost for one does not depend on their number

Reference solutions stand in for completions: all of them parse, so nothing is left out early. Milliseconds are elapsed
time for one completion, the median of the rounds. Then the share of a training step: --steps steps of the embedded
default with as many samples, every other one with the batch judged and analysed while the samples are being written, as
run.py does it, and the others without; the share is what the former take longer. Run it on an otherwise free machine.
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

from experiments import threads  # first: it must come before torch

# isort: split
from data.problems import Problem
from data.sets.registry import load_problems
from experiments.benchmarks.sandbox import Table, as_text, machine
from experiments.inputs.policy import answer, load_policy
from experiments.inputs.tasks import make_task
from experiments.options import EMBEDDED, bad_input_is_one_line, check_at_least, option, parse
from experiments.settings import RunOptions, lora_targets, resolve
from rewards.linters.pool import SELECT, Analyst, find_ruff
from rewards.linters.worker import RUFF_OPTIONS
from rl import gspo
from rl.learner import Learner, Settings
from rl.lora import add_lora
from sandbox import Sandbox, Task

PROGRAM_NAME = "bench.py rewards"
WAYS = ("tests", "analysis", "both", "naive")


@dataclass
class RewardsBenchOptions:
    data: str = option("embedded", "problems: 'embedded', 'security' or a JSON-lines file")
    completions: int = option(128, "completions in a batch")
    repeats: int = option(5, "rounds")
    slots: int = option(2, "slots of the sandbox")
    workers: int = option(1, "processes for Bandit")
    naive: int = option(16, "completions that the naive way is measured on")
    steps: int = option(20, "training steps for the share of a step; 0 leaves it out")
    json: bool = option(False, "print one JSON object")


def main(arguments: list[str] | None = None) -> None:
    options = parse(RewardsBenchOptions, arguments, PROGRAM_NAME, __doc__.splitlines()[0])
    with bad_input_is_one_line(PROGRAM_NAME):
        check_at_least(options, 1, "completions", "repeats", "slots", "workers", "naive")
        check_at_least(options, 0, "steps")
        tasks = make_tasks(load_problems(options.data, "all"), options.completions)
    seconds = measure(tasks, options)
    with_rewards, without = measure_steps(tasks, options) if options.steps else (0.0, 0.0)
    if options.json:
        steps = {"step_seconds": {"with": with_rewards, "without": without}} if options.steps else {}
        print(json.dumps(asdict(options) | {"machine": machine()} | as_record(seconds) | steps))
        return
    print(f"{machine()}\n\n{as_text(as_table(seconds, options))}")
    if options.steps:
        share = 1 - without / with_rewards
        print(f"\na training step: {with_rewards:.3f} s, without rewards {without:.3f} s: their share is {share:.1%}")


def make_tasks(problems: Sequence[Problem], count: int) -> list[Task]:
    """Reference solutions with their tests, evenly spaced over the problems, no two of them equal."""
    tasks = []
    for number in range(count):
        problem = problems[number * len(problems) // count]
        program = f"{problem.code.rstrip()}\n# {number}\n"
        tasks.append(make_task(problem, program))
    return tasks


def measure(tasks: Sequence[Task], options: RewardsBenchOptions) -> dict[str, list[float]]:
    """For each way the seconds for one completion, round by round."""
    programs = [task.program for task in tasks]
    few = programs[: options.naive]
    with Sandbox(options.slots, allow_weak=True) as judge, Analyst(options.workers, cache=0) as analyst:

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


def measure_steps(tasks: Sequence[Task], options: RewardsBenchOptions) -> tuple[float, float]:
    """Median seconds of a GSPO step of the embedded default, with the tasks judged and analysed and without.

    The model's own answers are thrown away, for the tasks to be the same in every step; each one that ends starts one.
    """
    run = resolve(RunOptions(algo="gspo", steps=2 * options.steps, lr=1e-9, prompts=len(tasks) // 8 or 1))
    policy = load_policy(EMBEDDED, "", "cpu", "fp32")
    threads.use(0, policy.model.config.hidden_size)
    add_lora(policy.model, run.lora_rank, run.lora_alpha, lora_targets(run), run.seed)
    names = set(Settings.__dataclass_fields__)
    learner = Learner(policy.model, Settings(**{n: v for n, v in asdict(run).items() if n in names and v is not None}))
    problems = load_problems("embedded", "train")[: run.prompts]
    programs = [task.program for task in tasks]
    seconds: dict[bool, list[float]] = {True: [], False: []}
    began = 0.0

    with Sandbox(options.slots, allow_weak=True) as judge, Analyst(options.workers, cache=0) as analyst:

        def collect(step: int) -> list:
            nonlocal began
            began, batches, left = time.perf_counter(), [], list(tasks)

            def start(fresh: list) -> None:
                batches.append(judge.submit([left.pop() for _ in fresh if left]))

            rewarded = step % 2 == 0
            rollouts = answer(
                policy,
                problems,
                seed=0,
                step=step // 2,
                group_size=run.group_size,
                max_new_tokens=run.max_new_tokens,
                temperature=run.temperature,
                on_rollouts=start if rewarded else lambda fresh: None,
            )
            if rewarded:
                pending = analyst.submit(programs)
                for batch in batches:
                    batch.outcomes()
                pending.results()
            for rollout in rollouts:
                rollout.reward = float(rollout.sample % 2)
            return rollouts

        def log(_batch: object, _metrics: object) -> None:
            seconds[(learner.step - 1) % 2 == 0].append(time.perf_counter() - began)

        gspo.train(learner, collect, log, run)
    return statistics.median(seconds[True]), statistics.median(seconds[False])


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
