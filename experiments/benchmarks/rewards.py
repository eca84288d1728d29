"""The cost of judging a batch of completions: tests, Ruff and Bandit, and one process for each completion.

    python experiments/bench.py rewards                128 embedded reference solutions
    python experiments/bench.py rewards --data PATH    a JSON-lines file in MBPP's format

Four ways, in rounds that alternate between them, without cached results:

    tests     the sandbox alone
    analysis  Ruff and Bandit alone, as in training (rewards/linters/pool.py)
    both      the two side by side, as in training
    naive     one `ruff` and one `bandit` process for each of --naive completions, without the tests

Reference solutions stand for completions. Milliseconds are elapsed time for one completion, the median of the rounds.
Then the share of a training step: --steps steps of the embedded default with the batch judged and analysed during
sampling, as in run.py, alternate with as many steps without. Use an otherwise free machine.
"""

import json
import statistics
import subprocess  # nosec B404
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.problems import Problem
from data.sets.registry import load_problems
from experiments.benchmarks.tools import BenchTable, describe_machine
from experiments.inputs.hub import EMBEDDED
from experiments.inputs.policy import load_weights, open_policy
from experiments.inputs.tasks import make_task
from experiments.options import bad_input_is_one_line, option, parse
from experiments.rollouts.sample import sample_rollouts
from experiments.settings import RunOptions
from experiments.setup import use_threads
from rewards.linters.pool import Analyst, find_ruff
from rewards.linters.rules import SELECT
from rewards.linters.worker import RUFF_OPTIONS
from rl import gspo
from rl.learner import Learner, Settings
from rl.lora import add_lora
from sandbox import Sandbox, Task


@dataclass
class RewardsBenchOptions:
    data: str = option("embedded", "problems: 'embedded', 'security' or a JSON-lines file")
    completions: int = option(128, "completions in a batch", least=1)
    repeats: int = option(5, "rounds", least=1)
    slots: int = option(2, "slots of the sandbox", least=1)
    workers: int = option(1, "processes for Bandit", least=1)
    naive: int = option(16, "completions for the naive way", least=1)
    steps: int = option(20, "training steps of each kind for the share of a step; 0 skips it", least=0)


def main(arguments: list[str] | None = None) -> None:
    options = parse(RewardsBenchOptions, arguments, "bench.py rewards", __doc__.splitlines()[0])
    with bad_input_is_one_line("bench.py rewards"):
        tasks = reference_tasks(load_problems(options.data, "all"), options.completions)
    print(f"{describe_machine()}\n\n{cost_table(measure(tasks, options), options).text()}")
    if options.steps:
        with_rewards, without = measure_steps(tasks, options)
        share = 1 - without / with_rewards
        print(f"\na training step: {with_rewards:.3f} s, without rewards {without:.3f} s: their share is {share:.1%}")


def reference_tasks(problems: Sequence[Problem], count: int) -> list[Task]:
    """Reference solutions with their tests, evenly spaced over the problems. All programs differ."""
    tasks = []
    for number in range(count):
        problem = problems[number * len(problems) // count]
        tasks.append(make_task(problem, f"{problem.code.rstrip()}\n# {number}\n"))
    return tasks


def measure(tasks: Sequence[Task], options: RewardsBenchOptions) -> dict[str, list[float]]:
    """Seconds for one completion by way, one value a round."""
    programs = [task.program for task in tasks]
    few = programs[: options.naive]
    with Sandbox(options.slots, allow_weak=True) as judge, Analyst(options.workers, cache=0) as analyst:

        def both() -> None:
            pending = analyst.submit(programs)
            judge.run(tasks)
            pending.results()

        ways = {
            "tests": (lambda: judge.run(tasks), len(tasks)),
            "analysis": (lambda: analyst.run(programs), len(tasks)),
            "both": (both, len(tasks)),
            "naive": (lambda: [analyse_naively(program) for program in few], len(few)),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for repeat in range(options.repeats + 1):
            for way, (run, count) in ways.items():
                start = time.perf_counter()
                run()
                if repeat:  # the first is a warm-up
                    seconds[way].append((time.perf_counter() - start) / count)
    return seconds


def measure_steps(tasks: Sequence[Task], options: RewardsBenchOptions) -> tuple[float, float]:
    """Median seconds of a GSPO step of the embedded default, with and without judging and analysing the tasks.

    Every step judges the same programs: each completion that ends submits one task.
    """
    run = RunOptions()
    policy = open_policy(EMBEDDED)
    load_weights(policy, "", "cpu", "fp32")
    use_threads(0, policy.model.config.hidden_size)
    add_lora(policy.model, run.lora_rank, run.lora_alpha)
    settings = Settings(lr=1e-9, steps=2 * options.steps, minibatches=run.minibatches, warmup=run.warmup)
    learner = Learner(policy.model, settings)
    problems = load_problems("embedded", "train")[: len(tasks) // run.group_size or 1]
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
            rollouts = sample_rollouts(
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

        gspo.train(learner, collect, log, gspo.Options())
    return statistics.median(seconds[True]), statistics.median(seconds[False])


def analyse_naively(program: str) -> tuple[list, list]:
    """The reports of Ruff and Bandit, each from its own process."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "program.py")
        path.write_bytes(program.encode())
        ruff = [find_ruff(), *RUFF_OPTIONS, "--select", ",".join(SELECT), str(path)]
        bandit = [sys.executable, "-m", "bandit", "-q", "-f", "json", "--ignore-nosec", str(path)]
        # Fixed commands, no shell. Bandit's status is 1 when it has found something.
        style, security = (subprocess.run(one, capture_output=True, check=False).stdout for one in (ruff, bandit))  # nosec B603
    return json.loads(style), json.loads(security)["results"]


def cost_table(seconds: dict[str, list[float]], options: RewardsBenchOptions) -> BenchTable:
    """Milliseconds for one completion, and how many times the naive way costs ours."""
    medians = {way: statistics.median(values) * 1000 for way, values in seconds.items()}
    ratios = {way: f"{medians['naive'] / medians[way]:.0f}x" for way in ("analysis", "both")}
    rows = [
        (way, f"{median:.2f}", f"{max(seconds[way]) * 1000:.2f}", ratios.get(way, ""))
        for way, median in medians.items()
    ]
    note = f"{options.completions} completions, {options.repeats} rounds; naive: {options.naive}, without the tests."
    return BenchTable("rewards", ("way", "median ms", "worst ms", "naive is"), rows, note)
