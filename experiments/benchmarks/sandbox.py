"""Our sandbox and other people's: programs per second, latency, cost of each layer, and attacks that win.

    python experiments/bench.py sandbox                                          throughput, scaling, latency
    python experiments/bench.py sandbox --layers --attacks tests/attacks         also layers and attacks
    python experiments/bench.py sandbox --write docs/sandbox.md                  put the tables into a document

Throughput and layers: reference programs of the embedded problems, three assertions each. Rounds alternate between the
systems, each on one core. The time of a program is that between two results of ours, and that of a peer's call. A peer
runs in a process without our modules (peers.py), so its forks are cheap; --peers-python may name another environment,
because EvalPlus needs 800 MB of other packages.

Attacks: each program runs once on each system that has its mode, in its own PID namespace. The driver then judges an
honest program. An attack wins if the verdict is better than it earns, if the driver dies, hangs or fails the honest
program, or if a file, a process or 16 MiB of output is left.

Use an otherwise free machine. Seconds are elapsed time, figures are medians unless the table says otherwise.
"""

import ast
import contextlib
import os
import re
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data.problems import Problem
from data.sets.registry import load_problems
from experiments.benchmarks import peers
from experiments.benchmarks.attacks import Attack, attack_wins, load_attacks
from experiments.benchmarks.peers import LOADERS
from experiments.benchmarks.tools import BenchTable, describe_machine, find_python, run_script
from experiments.options import bad_input_is_one_line, check_choice, option, parse
from sandbox import Limits, Sandbox, Stage, Task

WARM_UP = 10  # programs
SECTIONS = ("throughput", "scaling", "latency", "layers", "attacks")


@dataclass
class SandboxBenchOptions:
    programs: int = option(300, "programs of each system in a round", least=1)
    repeats: int = option(5, "rounds", least=1)
    slots: int = option(2, "compare this many slots with one; one core for each", least=2)
    hangs: int = option(20, "programs of each kind of hang in the latency table", least=1)
    peers_python: str = option(sys.executable, "Python of the environment that the peers are installed in")
    layers: bool = option(False, "also measure the cost of each layer")
    attacks: str = option("", "directory of attacks (tests/attacks); also run these on all systems (some minutes)")
    only: str = option("", "only these tables, separated by commas: " + ", ".join(SECTIONS))
    write: str = option("", "document; replace its parts <!-- bench:NAME begin --> ... <!-- bench:NAME end -->")


def main(arguments: list[str] | None = None) -> None:
    options = parse(SandboxBenchOptions, arguments, "bench.py sandbox", __doc__.splitlines()[0])
    with bad_input_is_one_line("bench.py sandbox"):
        options = replace(options, peers_python=find_python(options.peers_python))
        sections, corpus = chosen_sections(options), []
        if "attacks" in sections:
            if not options.attacks:
                raise ValueError("--only attacks: needs --attacks DIR, a directory of attacks such as tests/attacks")
            corpus = load_attacks(Path(options.attacks))
        if options.write:
            check_markers(Path(options.write), sections)
    print(describe_machine())
    for section in sections:
        table = measure_section(section, options, corpus)
        print(f"\n{table.text()}", flush=True)
        if options.write:
            replace_part(Path(options.write), table)


def chosen_sections(options: SandboxBenchOptions) -> list[str]:
    """The tables to make, in the order of SECTIONS."""
    asked = options.only.split(",") if options.only else [name for name in SECTIONS if getattr(options, name, True)]
    for name in asked:
        check_choice("only", name, SECTIONS)
    return [name for name in SECTIONS if name in asked]


def measure_section(section: str, options: SandboxBenchOptions, corpus: Sequence[Attack]) -> BenchTable:
    if section == "attacks":
        return attack_wins(corpus, options.peers_python)
    return {"throughput": throughput, "scaling": scaling, "latency": latency, "layers": layer_costs}[section](options)


def make_jobs(count: int, first: int = 0) -> list[dict]:
    """Jobs for peers.py. All programs differ, so that a judge cannot reuse a result."""
    problems = load_problems("embedded", "train")
    return [_make_job(problems[number % len(problems)], number) for number in range(first, first + count)]


def _make_job(problem: Problem, number: int) -> dict:
    tests = problem.test_list[:3]
    calls = [ast.parse(test).body[0].test for test in tests]  # assert NAME(literals) == literal
    return {
        "program": f"{problem.code}\n# {number}\n",
        "entry_point": problem.entry_point,
        "mode": "tests",
        "tests": tests,
        "check": "",
        "inputs": repr([[ast.literal_eval(argument) for argument in call.left.args] for call in calls]),
        "expected": repr([ast.literal_eval(call.comparators[0]) for call in calls]),
    }


def job_tasks(count: int, first: int = 0) -> list[Task]:
    """Those jobs for our sandbox."""
    jobs = make_jobs(count, first)
    return [Task(job["program"], tests=tuple(job["tests"]), entry_point=job["entry_point"]) for job in jobs]


@contextlib.contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Bind this process and those that it starts meanwhile to the last `count` of its cores. Linux only."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(cores)[-count:]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def time_tasks(sandbox: Sandbox, tasks: Sequence[Task]) -> list[float]:
    """Seconds from each result to the next. RuntimeError if one does not pass."""
    seconds, before = [], time.perf_counter()
    for index, outcome in sandbox.stream(tasks):
        now = time.perf_counter()
        seconds.append(now - before)
        before = now
        if outcome.stage != Stage.PASSED:
            raise RuntimeError(f"ours: correct program {index} did not pass: {outcome}")
    return seconds


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """Median and 99th percentile (nearest rank), in milliseconds."""
    values = sorted(value * 1000 for value in seconds)
    return statistics.median(values), values[-(-99 * len(values) // 100) - 1]


def throughput(options: SandboxBenchOptions) -> BenchTable:
    ours: list[list[float]] = []
    rounds: dict[str, list[list[float]]] = {name: [] for name in LOADERS}
    versions, missing = {}, {}
    with on_cores(1), Sandbox(slots=1) as sandbox:
        time_tasks(sandbox, job_tasks(WARM_UP, -WARM_UP))
        for repeat in range(options.repeats):
            first = repeat * options.programs
            ours.append(time_tasks(sandbox, job_tasks(options.programs, first)))
            jobs = make_jobs(WARM_UP + options.programs, first - WARM_UP)
            for name in LOADERS:
                answer = run_script([options.peers_python, peers.__file__, "time", name], jobs)
                if "missing" in answer:
                    missing[name] = answer["missing"]
                    continue
                if not all(passed for passed, _ in answer["results"]):
                    raise RuntimeError(f"{name}: a correct program did not pass")
                versions[name] = answer["version"]
                rounds[name].append([seconds for _, seconds in answer["results"][WARM_UP:]])
    rows = [_rate_row("ours, all layers, one slot", ours, ours)]
    rows += [_rate_row(f"{name} {release}", rounds[name], ours) for name, release in versions.items()]
    rows += [(name, "not installed: pip install -e '.[peers]'", "", "", "") for name in missing]
    note = f"One core, {options.repeats} rounds of {options.programs} programs with three assertions."
    return BenchTable("throughput", ("system", "programs/s", "p50 ms", "p99 ms", "ours is faster by"), rows, note)


def _rate_row(name: str, rounds: list[list[float]], ours: list[list[float]]) -> tuple[str, ...]:
    p50, p99 = percentiles([value for seconds in rounds for value in seconds])
    rates = [len(seconds) / sum(seconds) for seconds in rounds]
    # The median of the rounds' ratios: a slow moment of the machine hits both systems of a round.
    ratio = statistics.median(len(own) / sum(own) / rate for own, rate in zip(ours, rates, strict=True))
    return name, f"{statistics.median(rates):.0f}", f"{p50:.2f}", f"{p99:.2f}", f"{ratio:.2f}x"


def scaling(options: SandboxBenchOptions) -> BenchTable:
    """One slot and several, on as many cores as there are slots."""
    rates: dict[int, list[float]] = {1: [], options.slots: []}
    with on_cores(options.slots), Sandbox(slots=1) as one, Sandbox(slots=options.slots) as many:
        for repeat in range(options.repeats + 1):
            for sandbox, slots in ((one, 1), (many, options.slots)):
                tasks = job_tasks(options.programs * slots, repeat * options.programs * options.slots)
                start = time.perf_counter()
                sandbox.run(tasks)
                if repeat:  # the first is a warm-up
                    rates[slots].append(len(tasks) / (time.perf_counter() - start))
    ratio = statistics.median(several / one for one, several in zip(*rates.values(), strict=True))
    rows = [(str(slots), f"{statistics.median(values):.0f}") for slots, values in rates.items()]
    note = f"{options.slots} slots are {ratio:.2f}x as fast as one, on {options.slots} cores."
    return BenchTable("scaling", ("slots", "programs/s"), rows, note)


def latency(options: SandboxBenchOptions) -> BenchTable:
    """One program at a time: the time of a trivial one, and the time of a hang beyond its limit."""
    limits = Limits(test_cpu_seconds=0.2, test_wall_seconds=0.4)
    trivial = [Task(f"def f(x):\n    return {i}", tests=(f"assert f(1) == {i}",)) for i in range(options.programs)]
    loop, sleep = "def f(x):\n    while True: pass", "import time\ndef f(x): time.sleep(60)"
    hangs = [[Task(program, tests=("assert f(1) == 1",))] * options.hangs for program in (loop, sleep)]
    rows = []
    with Sandbox(slots=1, limits=limits) as sandbox:
        for name, tasks, limit in (
            ("trivial program, one test", trivial, 0.0),
            ("loop (CPU time), beyond its limit", hangs[0], limits.test_cpu_seconds),
            ("sleep (elapsed time), beyond its limit", hangs[1], limits.test_wall_seconds),
        ):
            beyond = []
            for task in tasks:
                start = time.perf_counter()
                sandbox.run([task])
                beyond.append(time.perf_counter() - start - limit)
            p50, p99 = percentiles(beyond)
            rows.append((name, f"{p50:.1f}", f"{p99:.1f}", f"{max(beyond) * 1000:.1f}"))
    return BenchTable("latency", ("program", "p50 ms", "p99 ms", "worst ms"), rows, "One slot, nothing else to do.")


def layer_costs(options: SandboxBenchOptions) -> BenchTable:
    """All layers, and all but one, side by side."""
    slice_size = 10  # programs; short slices suffer least from other work
    with contextlib.ExitStack() as stack:
        stack.enter_context(on_cores(1))
        full = stack.enter_context(Sandbox(slots=1, allow_weak=True))
        names = tuple(name for name, status in full.layers.items() if status == "on")
        left_out = {f"without {name}": (name,) for name in names}
        left_out |= {"without namespaces": ("namespaces",), "without all of them": names}
        sandboxes, impossible = {"all layers": full}, []
        for label, without in left_out.items():
            try:
                sandboxes[label] = stack.enter_context(Sandbox(slots=1, without=without, allow_weak=True))
            except RuntimeError as error:
                impossible.append((label, str(error).partition("\n")[0][:80], ""))
        seconds: dict[str, list[float]] = {label: [] for label in sandboxes}
        for number in range(-1, max(1, options.programs * options.repeats // slice_size // 3)):
            tasks = job_tasks(slice_size, 1 + number * slice_size)
            # Take turns: the first sandbox of a slice finds cold caches.
            turn = number % len(sandboxes)
            for label in (*list(sandboxes)[turn:], *list(sandboxes)[:turn]):
                done = time_tasks(sandboxes[label], tasks)
                if number >= 0:  # the first slice is a warm-up
                    seconds[label] += done
    p50 = {label: percentiles(values)[0] for label, values in seconds.items()}
    saved = {label: f"{p50['all layers'] - p50[label]:.2f}" for label in p50} | {"all layers": ""}
    rows = [(label, f"{p50[label]:.2f}", saved[label]) for label in p50]
    return BenchTable("layers", ("layers", "p50 ms", "saved ms"), [*rows, *impossible], "One core, one slot.")


def _part(name: str) -> re.Pattern:
    """The markers of a table with the text between them; the first may hold a remark."""
    return re.compile(rf"<!-- bench:{name} begin[^>]*-->.*?<!-- bench:{name} end -->", re.DOTALL)


def check_markers(path: Path, names: Sequence[str]) -> None:
    """ValueError if the document does not exist or lacks the markers of one of the tables `names`."""
    if not path.is_file():
        raise ValueError(f"--write {path}: no such file")
    text = path.read_text(encoding="utf-8")
    for name in names:
        if len(_part(name).findall(text)) != 1:
            lines = f"'<!-- bench:{name} begin -->' and, below it, '<!-- bench:{name} end -->'"
            raise ValueError(f"--write {path}: needs the lines {lines}, once")


def replace_part(path: Path, table: BenchTable) -> None:
    """Put a table between its markers."""
    part = f"<!-- bench:{table.name} begin -->\n{table.markdown()}\n<!-- bench:{table.name} end -->"
    text = path.read_text(encoding="utf-8")
    path.write_text(_part(table.name).sub(lambda _: part, text), encoding="utf-8")
