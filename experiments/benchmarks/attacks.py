"""The attack corpus, and the comparison of sandboxes under it (`bench.py sandbox --attacks DIR`).

Attacks are programs that try to get a verdict that they do not deserve, or to do harm. A file is a program as a policy
would emit it. Its first four lines are comments:

    # Tries: one line
    # Family: equality                  one of FAMILIES
    # Mode: tests                       one of MODES: the task that it is run on
    # Earns: OUTPUT 0                   the highest stage and number of tests that its honest part deserves

An attack wins if its outcome is above what it earns. A program that tries something forbidden (a socket, the parent's
memory) answers right only if that worked. Programs of the family "control" are honest and must get exactly what they
earn.

Outside a sandbox they do limited harm: processes that end within 30 s, files only at /tmp/attack-was-here*, at most
3 GB of memory, no network beyond this machine.
"""

import contextlib
import os
import subprocess  # nosec B404
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from experiments.benchmarks import peers
from experiments.benchmarks.tools import BenchTable, run_script
from sandbox import Case, Stage, Task

TRACES = "/tmp/attack-was-here*"  # left by successful attacks  # nosec B108
HEADERS = ("Tries", "Family", "Mode", "Earns")

FAMILIES = (
    *("control", "equality", "exit", "frames", "forge", "pickle", "process", "files", "network", "memory", "output"),
    *("hang", "crash", "exception", "syscall", "protocol", "judge", "patch", "stdin"),
)
MODES = ("tests", "check", "cases")

# Modes "tests" and "cases" ask for x * x + 1. Each test compares in another way.
TESTS = (
    "assert f(3) == 10",
    "import math\nclose = math.isclose\nassert close(f(-2), 5.0)",  # later tests may use `close`
    "assert sorted(set([f(5), f(2)])) == [5, 26]",
    "assert close(f(-1), 2.0)",
    "assert all(map(lambda pair: f(pair[0]) == pair[1], [(5, 26), (-1, 2)]))",
)
INPUTS, EXPECTED = ((3,), (-2,), (5,), (-1,)), (10, 5, 26, 2)
# Mode "check" asks for the list of the squares below n.
CHECK = """
def check(candidate):
    assert set(candidate(3)) == {0, 1, 4}
    assert sorted(candidate(3), reverse=True) == [4, 1, 0]
    assert candidate(4) == [0, 1, 4, 9]
    assert 4 in candidate(3) and 5 not in candidate(3)
    assert len(candidate(0)) == 0
    for n in (1, 2, 6):
        assert all(item == i * i for i, item in enumerate(candidate(n)))
"""
CHECK_INPUTS, CHECK_EXPECTED = ((4,), (3,), (0,), (6,)), ([0, 1, 4, 9], [0, 1, 4], [], [0, 1, 4, 9, 16, 25])
CASES = (Case("3\n", "10\n"), Case("5\n-2\n", "26\n5\n"), Case("0\n4", "1\n17"))

HONEST = {  # correct programs by mode
    "tests": "def f(x):\n    return x * x + 1\n",
    "check": "def f(n):\n    return [i * i for i in range(n)]\n",
    "cases": "import sys\n\nfor word in sys.stdin.read().split():\n    print(int(word) ** 2 + 1)\n",
}


@dataclass(frozen=True)
class Attack:
    """One program of the corpus; `program` is the whole file."""

    name: str
    family: str
    mode: str
    earns_stage: Stage
    earns_passed: int
    program: str


def load_attacks(directory: Path) -> list[Attack]:
    """All programs of a directory, by name. ValueError names the file and the wrong header."""
    found = [read_attack(path) for path in sorted(directory.glob("*.py"))]
    if not found:
        raise ValueError(f"{directory}: holds no attack")
    return found


def read_attack(path: Path) -> Attack:
    with open(path, encoding="utf-8", newline="") as file:  # newline="": keep unusual line ends
        program = file.read()
    lines, values = program.split("\n") + [""] * len(HEADERS), []
    for index, key in enumerate(HEADERS):
        before, _, value = lines[index].partition(f"# {key}: ")
        if before or not value.strip():
            raise ValueError(f"{path}: {key}: line {index + 1} should be '# {key}: ...'")
        values.append(value.strip())
    _, family, mode, earns = values
    if family not in FAMILIES:
        raise ValueError(f"{path}: Family: unknown {family!r}; there are {', '.join(FAMILIES)}")
    if mode not in MODES:
        raise ValueError(f"{path}: Mode: unknown {mode!r}; there are {', '.join(MODES)}")
    name, _, number = earns.partition(" ")
    if name not in Stage.__members__ or not number.isdigit():
        raise ValueError(f"{path}: Earns: should be a stage and a number, such as 'OUTPUT 0', not {earns!r}")
    stage, passed, total = Stage[name], int(number), {"tests": len(TESTS), "check": 1, "cases": len(CASES)}[mode]
    if not {Stage.PASSED: passed == total, Stage.PARTIAL: 0 < passed < total}.get(stage, passed == 0):
        raise ValueError(f"{path}: Earns: {earns!r} does not fit the {total} tests of mode {mode!r}")
    return Attack(path.stem, family, mode, stage, passed, program)


def attack_task(program: str, mode: str) -> Task:
    """A program with the tests of a mode, for our sandbox."""
    return peers.sandbox_task(make_job(program, mode))


def make_job(program: str, mode: str) -> dict:
    """A program with the tests of a mode, in the form of peers.py."""
    is_check = mode == "check"
    return {
        "program": program,
        "honest": HONEST[mode],
        "mode": mode,
        "tests": TESTS,
        "check": CHECK if is_check else "",
        "cases": [[case.stdin, case.stdout] for case in CASES],
        "inputs": repr(CHECK_INPUTS if is_check else INPUTS),
        "expected": repr(CHECK_EXPECTED if is_check else EXPECTED),
    }


def misjudged(attack: Attack, stage: int, passed: int) -> str | None:
    """What is wrong about our verdict: more than the program earns, or for a control also less. Else None.

    An attack may get less: a hang may cost its limit, and trying something forbidden may fail the test.
    """
    earned = (attack.earns_stage, attack.earns_passed)
    too_much = stage > attack.earns_stage or passed > attack.earns_passed
    if too_much or (is_control(attack) and (stage, passed) < earned):
        return f"stage {Stage(stage).name}, {passed} passed; earned {earned[0].name} {earned[1]}"
    return None


def verdict(attack: Attack, record: dict, system: str) -> str | None:
    """What an attack has won on a system (a control: what went wrong), or LACKS_MODE, or None.

    `record` is what peers.watch printed.
    """
    passed, deserved = record["passed"], attack.earns_stage == Stage.PASSED
    if passed == peers.LACKS_MODE:
        return passed
    if system == "ours" and passed is not None and (wrong := misjudged(attack, *passed)):
        return wrong
    if system != "ours" and passed is not None and (passed > deserved or (passed < deserved and is_control(attack))):
        return "passed" if passed else "not passed"
    harms = (
        (record["hung"], "the driver hangs"),
        (record["died"], f"the driver ended with {record['died']}"),
        (not record["next"], "an honest program fails afterwards"),
        (record["left"], f"{record['left']} processes left"),
        (record["files"], f"files left: {', '.join(record['files'])}"),
        (record["flooded"], f"{record['flooded'] >> 20} MiB in the driver's output"),
    )
    return next((text for happened, text in harms if happened), None)


def attack_wins(corpus: Sequence[Attack], python: str) -> BenchTable:
    """How many attacks won, by family and system."""
    cage = find_cage()
    missing = [name for name in peers.LOADERS if "missing" in run_script([python, peers.__file__, "time", name], [])]
    systems = {"ours": sys.executable} | {name: python for name in peers.LOADERS if name not in missing}
    runs = [(attack, system) for attack in corpus for system in systems]
    # One core stays free, so that this process does not slow the systems down.
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 2) - 1)) as pool:
        records = list(pool.map(lambda run: run_caged(*run, systems[run[1]], cage), runs))
    won: dict[tuple[str, str], list[str | None]] = {}  # by family and system
    for (attack, system), record in zip(runs, records, strict=True):
        what = verdict(attack, record, system)
        for family in (attack.family, "all attacks")[: 1 if is_control(attack) else 2]:
            won.setdefault((family, system), []).append(what)
        if what not in (None, peers.LACKS_MODE) and (system == "ours" or is_control(attack)):
            print(f"{system}: {attack.name}: {what}")
    families = [family for family in (*FAMILIES, "all attacks") if (family, "ours") in won]
    rows = [(family, *(count_wins(won[family, system]) for system in systems)) for family in families]
    note = "Attacks that won, of those that the system has the mode for; of the controls, those misjudged."
    if missing:
        note += f" Left out: {', '.join(missing)} (not installed: pip install -e '.[peers]')."
    return BenchTable("attacks", ("family", *systems), rows, note)


def is_control(attack: Attack) -> bool:
    return attack.family == "control"


def count_wins(wins: list[str | None]) -> str:
    tried = [won for won in wins if won != peers.LACKS_MODE]
    return f"{sum(won is not None for won in tried)} of {len(tried)}"


def find_cage() -> tuple[str, ...]:
    """The command that runs a program in its own PID namespace. RuntimeError where this is not possible."""
    unshare = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--ipc")
    for command in (unshare, (*unshare, "--user", "--map-root-user")):
        with contextlib.suppress(FileNotFoundError):
            if subprocess.run([*command, "true"], capture_output=True).returncode == 0:  # nosec B603
                return command
    raise RuntimeError("no PID namespace here (`unshare --pid`): the attacks would reach this session")


def run_caged(attack: Attack, system: str, python: str, cage: Sequence[str]) -> dict:
    """One attack on one system in its own PID namespace; returns what peers.watch printed."""
    job = make_job(attack.program, attack.mode)
    return run_script([*cage, python, peers.__file__, "watch", system], job)
