"""Our sandbox against other people's: programs per second, latency, cost of each layer, and who is fooled.

    python experiments/bench.py sandbox                              throughput, scaling, latency
    python experiments/bench.py sandbox --layers --attacks           also the cost of each layer, and the corpus
    python experiments/bench.py sandbox --write docs/sandbox.md      put the tables into a document

Throughput and layers: reference programs of the embedded problems, three assertions each, in rounds that alternate
between the systems, everything (trainer, judge, zygote and children; or the peer's driver and children) on one core.
The time of a program is that between two results for ours, and that of the one call for a peer. A peer runs in a
driver of its own (peers.py), which holds nothing but the peer, so that its forks are as cheap as they can be; its
Python may be another one (--peers-python), because EvalPlus brings 800 MB of other packages along.

Attacks: each program of tests/attacks once on each system that has its mode, in a process of its own, in a PID
namespace of its own, on a driver that then has to judge an honest program. It wins when the verdict is better than
what it earns, the driver dies, hangs or fails the honest program, or a file, a process or 16 MiB of output is left.
Nobody is attacked where such a namespace cannot be had: the attacks would reach whoever started this.

Run it on an otherwise free machine. Seconds are elapsed time; every figure is a median unless it says otherwise.
"""

import ast
import contextlib
import datetime
import json
import os
import platform
import re
import shutil
import statistics
import subprocess  # nosec B404
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from data.problems import Problem
from data.sets.registry import load_problems
from experiments.benchmarks import attacks, peers
from experiments.options import bad_input_is_one_line, check_at_least, option, parse
from sandbox import Limits, Sandbox, Stage, Task

PROGRAM_NAME = "bench.py sandbox"
SECTIONS = ("throughput", "scaling", "latency", "layers", "attacks")
PEERS = peers.NAMES[1:]
_INSTALL = "pip install -e '.[peers]'"


@dataclass
class SandboxBenchOptions:
    programs: int = option(300, "programs of each system in a round")
    repeats: int = option(5, "rounds")
    slots: int = option(2, "slots of the scaling comparison with one; one core for each")
    hangs: int = option(20, "programs of each kind of hang in the latency table")
    peers_python: str = option(sys.executable, "Python of the environment that the peers are installed in")
    layers: bool = option(False, "also measure each layer, by leaving it out")
    attacks: bool = option(False, "also run the attack corpus on all systems (some minutes)")
    only: str = option("", "measure these tables and no others, with commas between: " + ", ".join(SECTIONS))
    write: str = option("", "document whose <!-- bench:NAME begin --> ... <!-- bench:NAME end --> parts are replaced")


@dataclass(frozen=True)
class Table:
    """What is printed and written: one header line, rows of as many cells, and a line below them."""

    name: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def main(arguments: list[str] | None = None) -> None:
    options = parse(SandboxBenchOptions, arguments, PROGRAM_NAME, __doc__.splitlines()[0])
    with bad_input_is_one_line(PROGRAM_NAME):
        check(options)
        sections = chosen_sections(options)
        document = Document(Path(options.write), sections) if options.write else None
    print(machine())
    for section in sections:
        table = _MEASURES[section](options)
        print(f"\n{as_text(table)}", flush=True)
        if document is not None:
            document.replace(table)


def check(options: SandboxBenchOptions) -> None:
    check_at_least(options, 1, "programs", "repeats", "hangs")
    check_at_least(options, 2, "slots")
    if shutil.which(options.peers_python) is None:
        raise ValueError(f"--peers-python {options.peers_python}: no such program")


def chosen_sections(options: SandboxBenchOptions) -> tuple[str, ...]:
    """Names of the tables to make, in the order of SECTIONS. Raises ValueError for a name that is none of them."""
    if options.only:
        asked = options.only.split(",")
        unknown = set(asked) - set(SECTIONS)
        if unknown:
            raise ValueError(f"--only: unknown {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
        return tuple(name for name in SECTIONS if name in asked)
    left_out = {name for name in ("layers", "attacks") if not getattr(options, name)}
    return tuple(name for name in SECTIONS if name not in left_out)


# Programs ------------------------------------------------------------------------------------------------------


def make_jobs(count: int, first: int = 0) -> list[dict]:
    """Jobs (see peers.py): reference programs of the embedded problems, in the manner of MBPP, three assertions each.

    Each is another program with other tests, so nothing that a judge may keep of one is of use to the next.
    """
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


def make_tasks(count: int, first: int = 0) -> list[Task]:
    return [
        Task(job["program"], tests=tuple(job["tests"]), entry_point=job["entry_point"])
        for job in make_jobs(count, first)
    ]


# Running -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Bind this process, and what is started meanwhile, to the last `count` cores that it may use."""
    if not hasattr(os, "sched_setaffinity"):  # elsewhere than on Linux the scheduler decides
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(cores)[-count:]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def run_ours(judge: Sandbox, tasks: Sequence[Task]) -> list[float]:
    """Seconds from each result to the next. Raises RuntimeError when one of the tasks, all correct, does not pass."""
    seconds, before = [], time.perf_counter()
    for index, outcome in judge.stream(tasks):
        now = time.perf_counter()
        seconds.append(now - before)
        before = now
        if outcome.stage != Stage.PASSED:
            raise RuntimeError(f"ours: correct program {index} was not passed: {outcome}")
    return seconds


class Peer:
    """A peer's driver, which judges jobs one by one. `missing` says why it cannot, else None."""

    def __init__(self, name: str, python: str) -> None:
        self.name = name
        self.process = subprocess.Popen(  # nosec B603
            [python, peers.__file__, "time", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        hello = json.loads(self.process.stdout.readline())
        self.missing, self.version = hello.get("missing"), hello.get("version", "")

    def run(self, jobs: Sequence[dict]) -> list[float]:
        """Seconds of each job. Raises RuntimeError when one of them, all correct, does not pass."""
        seconds = []
        for job in jobs:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
            passed, elapsed = json.loads(self.process.stdout.readline())
            seconds.append(elapsed)
            if not passed:
                raise RuntimeError(f"{self.name}: a correct program was not passed")
        return seconds

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def per_second(rounds: list[list[float]]) -> list[float]:
    """Programs per second of each round."""
    return [len(seconds) / sum(seconds) for seconds in rounds]


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """Median and 99th percentile (the smallest value that 99 in 100 do not exceed), in milliseconds."""
    values = sorted(value * 1000 for value in seconds)
    return statistics.median(values), values[-(-99 * len(values) // 100) - 1]


# The tables ----------------------------------------------------------------------------------------------------


def throughput(options: SandboxBenchOptions) -> Table:
    with contextlib.ExitStack() as stack:
        stack.enter_context(on_cores(1))
        judge = stack.enter_context(Sandbox(slots=1))
        drivers = [Peer(name, options.peers_python) for name in PEERS]
        for driver in drivers:
            stack.callback(driver.close)
        present = [driver for driver in drivers if driver.missing is None]
        rounds: dict[str, list[list[float]]] = {name: [] for name in ("ours", *(driver.name for driver in present))}
        for repeat in range(options.repeats + 1):
            first = repeat * options.programs
            seconds = {"ours": run_ours(judge, make_tasks(options.programs, first))}
            for driver in present:
                seconds[driver.name] = driver.run(make_jobs(options.programs, first))
            for name, done in rounds.items():
                if repeat:  # the first round is a warm-up
                    done.append(seconds[name])
    rows = [_rate_row("ours, all layers, one slot", rounds["ours"], rounds["ours"])]
    for driver in drivers:
        if driver.missing is None:
            rows.append(_rate_row(f"{driver.name} {driver.version}", rounds[driver.name], rounds["ours"]))
        else:
            rows.append((driver.name, f"not installed: {_INSTALL}", "", "", ""))
    note = f"One core, {options.repeats} rounds of {options.programs} programs with three assertions."
    return Table("throughput", ("system", "programs/s", "p50 ms", "p99 ms", "ours is faster by"), tuple(rows), note)


def _rate_row(name: str, rounds: list[list[float]], ours: list[list[float]]) -> tuple[str, ...]:
    p50, p99 = percentiles([value for seconds in rounds for value in seconds])
    # The median of the ratios of rounds that ran side by side, not the ratio of medians: the machine's moods cancel.
    ratio = statistics.median(a / b for a, b in zip(per_second(ours), per_second(rounds), strict=True))
    return name, f"{statistics.median(per_second(rounds)):.0f}", f"{p50:.2f}", f"{p99:.2f}", f"{ratio:.2f}x"


def scaling(options: SandboxBenchOptions) -> Table:
    """One slot against several, on as many cores as there are slots."""
    rates: dict[int, list[float]] = {1: [], options.slots: []}
    with on_cores(options.slots), Sandbox(slots=1) as one, Sandbox(slots=options.slots) as many:
        for repeat in range(options.repeats + 1):
            for judge, slots in ((one, 1), (many, options.slots)):
                tasks = make_tasks(options.programs * slots, repeat * options.programs * options.slots)
                start = time.perf_counter()
                judge.run(tasks)
                if repeat:
                    rates[slots].append(len(tasks) / (time.perf_counter() - start))
    ratio = statistics.median(several / one for one, several in zip(*rates.values(), strict=True))
    rows = tuple((str(slots), f"{statistics.median(values):.0f}") for slots, values in rates.items())
    note = f"{options.slots} slots are {ratio:.2f}x as fast as one, on {options.slots} cores."
    return Table("scaling", ("slots", "programs/s"), rows, note)


_HANGS = {
    "loop (CPU time)": ("def f(x):\n    while True:\n        pass\n", "test_cpu_seconds"),
    "sleep (elapsed time)": ("import time\n\n\ndef f(x):\n    time.sleep(60)\n", "test_wall_seconds"),
}


def latency(options: SandboxBenchOptions) -> Table:
    """One program at a time: what a trivial one takes, and by how much a hang overruns its limit."""
    # Small limits, for more programs in the same time: what is measured is what comes on top.
    limits = Limits(test_cpu_seconds=0.2, test_wall_seconds=0.4)
    rows = []
    with Sandbox(slots=1, limits=limits) as judge:
        tasks = [Task(f"def f(x):\n    return {i}", tests=(f"assert f(1) == {i}",)) for i in range(options.programs)]
        rows.append(_latency_row("trivial program, one test", [_seconds_alone(judge, task) for task in tasks], 0.0))
        for name, (program, limit) in _HANGS.items():
            hanging = Task(program, tests=("assert f(1) == 1",))
            seconds = [_seconds_alone(judge, hanging) for _ in range(options.hangs)]
            rows.append(_latency_row(f"{name}, beyond its limit", seconds, getattr(limits, limit)))
    return Table("latency", ("program", "p50 ms", "p99 ms", "worst ms"), tuple(rows), "One slot, nothing else to do.")


def _seconds_alone(judge: Sandbox, task: Task) -> float:
    start = time.perf_counter()
    judge.run([task])
    return time.perf_counter() - start


def _latency_row(name: str, seconds: list[float], limit: float) -> tuple[str, ...]:
    beyond = [value - limit for value in seconds]
    p50, p99 = percentiles(beyond)
    return name, f"{p50:.1f}", f"{p99:.1f}", f"{max(beyond) * 1000:.1f}"


_SLICE = 10  # programs


def layer_costs(options: SandboxBenchOptions) -> Table:
    """All layers against all but one, side by side."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(on_cores(1))
        full = stack.enter_context(Sandbox(slots=1, allow_weak=True))
        names = tuple(name for name, status in full.layers.items() if status == "on")
        left_out = {f"without {name}": (name,) for name in names}
        left_out |= {"without namespaces": ("namespaces",), "without all of them": names}
        judges = {"all layers": full}
        impossible = {}
        for label, without in left_out.items():
            try:
                judges[label] = stack.enter_context(Sandbox(slots=1, without=without, allow_weak=True))
            except RuntimeError as error:
                impossible[label] = str(error).partition("\n")[0][:80]
        seconds: dict[str, list[float]] = {label: [] for label in judges}
        for number in range(-1, options.programs * options.repeats // _SLICE // 3):
            # Small slices: what is compared lies close together in time, whatever else the machine does.
            tasks = make_tasks(_SLICE, 1 + number * _SLICE)
            # Everyone is first in turn: whoever comes after the making of the programs finds the caches cold.
            turn = number % len(judges)
            for label in (*list(judges)[turn:], *list(judges)[:turn]):
                done = run_ours(judges[label], tasks)
                if number >= 0:  # the first slice is a warm-up
                    seconds[label] += done
    p50 = {label: percentiles(values)[0] for label, values in seconds.items()}
    rows = [("all layers", f"{p50['all layers']:.2f}", "")]
    rows += [
        (label, f"{p50[label]:.2f}", f"{p50['all layers'] - p50[label]:.2f}") for label in judges if label in left_out
    ]
    rows += [(label, reason, "") for label, reason in impossible.items()]
    return Table("layers", ("layers", "p50 ms", "saved ms"), tuple(rows), "One core, one slot.")


# Attacks -------------------------------------------------------------------------------------------------------

_UNSHARE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--ipc")
# One core stays free, so that a system is not too late because of us.
_WORKERS = max(1, (os.cpu_count() or 2) - 1)
LACKS_MODE = "the system has no such mode"


def attack_wins(options: SandboxBenchOptions) -> Table:
    """Families of attacks by systems: how many won, of how many that could be tried."""
    cage = find_cage()
    systems = {"ours": sys.executable}
    systems |= {name: options.peers_python for name in PEERS if _is_installed(name, options.peers_python)}
    runs = [(attack, name) for attack in attacks.load_attacks() for name in systems]
    with ThreadPoolExecutor(_WORKERS) as pool:
        records = list(pool.map(lambda run: let_loose(run[0], run[1], systems[run[1]], cage), runs))
    won: dict[str, dict[str, list[str | None]]] = {}
    for (attack, system), record in zip(runs, records, strict=True):
        what = verdict(attack, record, system)
        won.setdefault(attack.family, {name: [] for name in systems})[system].append(what)
        if what is not None and (system == "ours" or attack.family == "control") and what != LACKS_MODE:
            print(f"{system}: {attack.name}: {what}")
    rows = [(family, *map(_count, won[family].values())) for family in attacks.FAMILIES if family in won]
    hostile = [family for family in won if family != "control"]
    rows.append(("all attacks", *(_count([w for family in hostile for w in won[family][name]]) for name in systems)))
    note = "Attacks that won, of those that the system has the mode for; of the controls, those misjudged."
    missing = [name for name in PEERS if name not in systems]
    if missing:
        note += f" Left out: {', '.join(missing)} (not installed: {_INSTALL})."
    return Table("attacks", ("family", *systems), tuple(rows), note)


def _count(wins: list[str | None]) -> str:
    tried = [won for won in wins if won != LACKS_MODE]
    return f"{sum(won is not None for won in tried)} of {len(tried)}"


def verdict(attack: attacks.Attack, record: dict, system: str) -> str | None:
    """What an attack has won (for a control: what went wrong); None for nothing; or LACKS_MODE."""
    if record["passed"] == peers.LACKS_MODE:
        return LACKS_MODE
    harms = (
        (record["hung"], "the driver hangs"),
        (record["died"], f"the driver ended with {record['died']}"),
        (not record["next"], "an honest program fails afterwards"),
        (record["left"], f"{record['left']} processes left"),
        (record["files"], f"files left: {', '.join(record['files'])}"),
        (record["flooded"], f"{record['flooded'] >> 20} MiB in the driver's output"),
    )
    harm = next((text for happened, text in harms if happened), None)
    return _overpaid(attack, record["passed"], system) or harm


def _overpaid(attack: attacks.Attack, passed: object, system: str) -> str | None:
    """What is wrong about a verdict: [stage, number] of ours, true or false of a peer, None when there was none."""
    if passed is None:
        return None
    if system == "ours":
        (stage, number), (earned, count) = passed, (int(attack.earns_stage), attack.earns_passed)
        wrong = (stage, number) != (earned, count) if attack.family == "control" else stage > earned or number > count
        return f"stage {Stage(stage).name}, {number} passed" if wrong else None
    deserved = attack.earns_stage == Stage.PASSED
    wrong = passed != deserved if attack.family == "control" else passed and not deserved
    return ("passed" if passed else "not passed") if wrong else None


def find_cage() -> tuple[str, ...]:
    """The command that gives a program a PID namespace of its own. Raises RuntimeError where there is none."""
    for command in (_UNSHARE, (*_UNSHARE, "--user", "--map-root-user")):
        with contextlib.suppress(FileNotFoundError):
            if subprocess.run([*command, "true"], capture_output=True).returncode == 0:  # nosec B603
                return command
    raise RuntimeError("no PID namespace can be had here (`unshare --pid`): the attacks would reach this session")


def _is_installed(name: str, python: str) -> bool:
    peer = Peer(name, python)
    peer.close()
    return peer.missing is None


def let_loose(attack: attacks.Attack, system: str, python: str, cage: Sequence[str]) -> dict:
    """Run one attack on one system in the cage; the record of peers.watch."""
    is_check = attack.mode == "check"
    job = {
        "program": attack.program,
        "honest": _HONEST[attack.mode],
        "mode": attack.mode,
        "tests": attacks.TESTS,
        "check": attacks.CHECK if is_check else "",
        "cases": [[case.stdin, case.stdout] for case in attacks.CASES],
        "tolerance": attacks.TOLERANCE,
        "inputs": repr(attacks.CHECK_INPUTS if is_check else attacks.INPUTS),
        "expected": repr(attacks.CHECK_EXPECTED if is_check else attacks.EXPECTED),
    }
    command = [*cage, python, peers.__file__, "watch", system]
    # Bytes, not text: a program may hold what is no text.
    done = subprocess.run(command, input=json.dumps(job).encode(), capture_output=True)  # nosec B603
    if done.returncode != 0:
        raise RuntimeError(
            f"{attack.name} on {system}: the watcher ended with {done.returncode}: {done.stderr[-2000:]}"
        )
    return json.loads(done.stdout)


_HONEST = {
    "tests": "def f(x):\n    return x * x + 1\n",
    "check": "def f(n):\n    return [i * i for i in range(n)]\n",
    "cases": "import sys\n\nfor word in sys.stdin.read().split():\n    print(int(word) ** 2 + 1)\n",
}

_MEASURES = {
    "throughput": throughput,
    "scaling": scaling,
    "latency": latency,
    "layers": layer_costs,
    "attacks": attack_wins,
}


# Output --------------------------------------------------------------------------------------------------------


def machine() -> str:
    """Date, processor, cores, kernel, Python: what a figure needs to be compared with another."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{datetime.date.today()}, {_processor()}, {cores} cores, {system}"


def _processor() -> str:
    if not Path("/proc/cpuinfo").is_file():
        return platform.processor() or platform.machine()
    names = re.findall(r"(?m)^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text())
    return names[0].strip() if names else platform.machine()


def as_text(table: Table) -> str:
    """Columns under each other, numbers to the right."""
    rows = (table.header, *table.rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *rest in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([table.name, *lines, table.note])


def as_markdown(table: Table) -> str:
    rule = ("---", *("---:" for _ in table.header[1:]))
    lines = ["| " + " | ".join(row) + " |" for row in (table.header, rule, *table.rows)]
    return "\n".join([*lines, "", f"{table.note} Measured {machine()}."])


class Document:
    """A text file with parts between `<!-- bench:NAME begin -->` and `<!-- bench:NAME end -->`.

    Raises ValueError when the file is not there or lacks the markers of one of `names`.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        if not path.is_file():
            raise ValueError(f"--write {path}: no such file")
        self.path, text = path, path.read_text(encoding="utf-8")
        for name in names:
            if len(_part(name).findall(text)) != 1:
                raise ValueError(
                    f"--write {path}: needs the line '<!-- bench:{name} begin -->' and, below it, "
                    f"'<!-- bench:{name} end -->', once"
                )

    def replace(self, table: Table) -> None:
        """Put a table between its markers; the rest of the file stays as it is at this moment."""
        text = self.path.read_text(encoding="utf-8")
        part = f"<!-- bench:{table.name} begin -->\n{as_markdown(table)}\n<!-- bench:{table.name} end -->"
        self.path.write_text(_part(table.name).sub(lambda _: part, text), encoding="utf-8")


def _part(name: str) -> re.Pattern:
    """The markers with what is between them; the first one may have a remark of its own."""
    return re.compile(rf"<!-- bench:{name} begin[^>]*-->.*?<!-- bench:{name} end -->", re.DOTALL)


if __name__ == "__main__":
    main()
