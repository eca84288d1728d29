"""The sandbox under stress: a soak, processes killed at random moments, random programs, malformed replies.

    python experiments/stress.py --soak 20000 --faults 200 --fuzz 20000 --replies 5000

* soak: programs with known outcomes. Afterwards the sandbox must have the same processes, descriptors and memory.
* faults: kill a judge or a zygote at a random moment, once in 25 programs. Every outcome must arrive and be right.
  No program hangs here: the sandbox would give it up after three hits.
* fuzz: random bytes, random words of Python and mutated programs. The tests want a number that no program holds.
* replies: programs that answer the judge themselves, with the right nonce and a mutated reply; same tests.

A count of 0 skips a part. Exit status 1 if a bar is missed. Linux only: it reads /proc.
"""

import contextlib
import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from experiments.options import bad_input_is_one_line, option, parse
from experiments.report.tables import align
from sandbox import Case, Limits, Outcome, Sandbox, Stage, Task

PROGRAMS_PER_FAULT = 25
MEMORY_BAR_MB = 2.0
GRACE_SECONDS = 5.0  # beyond its limits: to end one child and start the next on a busy machine

LIMITS = Limits(
    test_cpu_seconds=0.2,
    test_wall_seconds=10.0,
    program_cpu_seconds=0.4,
    program_wall_seconds=20.0,
    judge_cpu_seconds=5.0,
    memory_bytes=128 << 20,
)


@dataclass
class StressOptions:
    soak: int = option(2000, "programs of the soak", least=0)
    faults: int = option(20, "processes to kill", least=0)
    fuzz: int = option(2000, "random and mutated programs", least=0)
    replies: int = option(500, "malformed replies to the judge", least=0)
    slots: int = option(2, "slots of the sandbox", least=1)
    seed: int = option(0, "seed of all random choices")


@dataclass
class Figure:
    """One row of the table."""

    name: str
    value: float
    bar: float | None = None  # the largest value that is allowed


def main(arguments: list[str] | None = None) -> int:
    options = parse(StressOptions, arguments, "stress.py", __doc__.splitlines()[0])
    with bad_input_is_one_line("stress.py"):
        if sys.platform != "linux":
            raise ValueError(f"needs Linux with /proc; this is {sys.platform}")
    rows = []
    for part in (soak, faults, fuzz, replies):
        name = part.__name__
        if not getattr(options, name):
            continue
        for figure in part(options, random.Random(f"{options.seed} {name}")):
            value = f"{figure.value:,.1f}" if isinstance(figure.value, float) else f"{figure.value:,}"
            bar = "" if figure.bar is None else f"{figure.bar:g}"
            missed = "MISSED" if figure.bar is not None and figure.value > figure.bar else ""
            rows.append((name, figure.name, value, bar, missed))
    print(align(("part", "figure", "value", "at most", ""), rows))
    return 1 if any(missed for *_, missed in rows) else 0


# Programs with known outcomes --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """A task and its outcome. Each program prints its own number, so that no two outcomes are equal."""

    task: Task
    stage: Stage
    passed: int
    error_types: str  # the allowed ones, separated by spaces; "" for none
    output: str

    def holds(self, outcome: Outcome) -> bool:
        return (
            (outcome.stage, outcome.passed) == (self.stage, self.passed)
            and (outcome.error_type or "") in self.error_types.split(" ")
            and outcome.output.startswith(self.output)
        )


_THREAD = "import threading as t, time\ndef f(x):\n    t.Thread(target=time.sleep, args=(9,)).start()\n    return x + K"
_FORK = "import os\ndef f(x):\n    if os.fork(): os._exit(0)\n    while 1: pass"
# Name: (weight, source with K for a number below 50, stage, tests passed of two, error types).
PROGRAMS: dict[str, tuple[int, str, Stage, int, str]] = {
    "right": (40, "def f(x): return x + K", Stage.PASSED, 2, ""),
    "class": (5, "class f(int): pass\ng = f\ndef f(x): return g(x + K)", Stage.PASSED, 2, ""),
    "wrong": (15, "def f(x): return x - K - 9", Stage.OUTPUT, 0, "AssertionError"),
    "half": (10, "def f(x): return x + K if x == 1 else [x]", Stage.PARTIAL, 1, "AssertionError"),
    "raises": (10, "def f(x): return x / 0", Stage.RUNS, 0, "ZeroDivisionError"),
    "syntax": (5, "def f(x) return x + K", Stage.SYNTAX_ERROR, 0, "SyntaxError"),
    "body": (5, "import nowhere\ndef f(x): return x + K", Stage.PARSES, 0, "ModuleNotFoundError"),
    "missing": (5, "def g(x): return x + K", Stage.RUNS, 0, "EntryPointMissing"),
    "exit": (5, "def f(x): exit()", Stage.RUNS, 0, "SystemExit"),
    "crash": (5, "import os\ndef f(x): os._exit(0)", Stage.RUNS, 0, "Crash"),
    "segfault": (2, "import ctypes\ndef f(x): ctypes.string_at(0)", Stage.RUNS, 0, "Crash"),
    "equal": (5, "class E:\n    __eq__ = lambda s, o: True\ndef f(x): return E()", Stage.OUTPUT, 0, "AssertionError"),
    "forge": (5, "import os\nos.write(100, b'\\0\\0\\0\\2[]')\ndef f(x): return x + K", Stage.PARSES, 0, "Tampering"),
    "flood": (3, "import os\ndef f(x):\n    while 1: os.write(2, b'x' * 9**6)", Stage.RUNS, 0, "OSError"),
    "memory": (3, "def f(x): return bytearray(3 << 30)", Stage.RUNS, 0, "MemoryError"),
    "threads": (3, _THREAD, Stage.PASSED, 2, ""),
    "fork": (5, _FORK, Stage.RUNS, 0, "PermissionError OSError BlockingIOError"),
    "write": (5, "def f(x): open('/tmp/stress', 'w')", Stage.RUNS, 0, "PermissionError FileNotFoundError OSError"),
    "deep": (3, "def f(x): return f(x)", Stage.RUNS, 0, "RecursionError"),
    "large": (3, "def f(x): return 'x' * 10**6", Stage.RUNS, 0, "ReplyTooLarge"),
}
SCRIPT = "print(int(input()) + K)"
HANG = "def f(x):\n    while x == 1: pass\n    return x + K"


def known(r: random.Random, number: int, hangs: bool) -> Known:
    """One program of a random kind."""
    k = number % 50  # few different tests, as in training: the judge keeps them compiled
    if hangs and r.random() < 0.005:
        return known_function(HANG, number, k, Stage.PARTIAL, 1, "Timeout")
    if r.random() < 0.1:
        task = Task(SCRIPT.replace("K", str(number)), cases=(Case("1", str(number + 1)), Case("2", str(k))))
        return Known(task, Stage.PARTIAL, 1, "AssertionError", f"{number + 2}\n")
    (row,) = r.choices(list(PROGRAMS.values()), [weight for weight, *_ in PROGRAMS.values()])
    return known_function(row[1], number, k, *row[2:])


def known_function(source: str, number: int, k: int, stage: Stage, passed: int, error_types: str) -> Known:
    tests = (f"assert f(1) == {k + 1}", f"assert f(2) == {k + 2}")
    task = Task(f"print({number}, flush=True)\n{source.replace('K', str(k))}\n", tests, "f")
    return Known(task, stage, passed, error_types, "" if stage == Stage.SYNTAX_ERROR else f"{number}\n")


# The processes of a sandbox, seen from outside ---------------------------------------------------------------------


def children(pid: int) -> list[int]:
    """Processes that any thread of a process has started, without those that end meanwhile."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in list(Path(f"/proc/{pid}/task").iterdir()):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, (thread / "children").read_text().split())
    return sorted(found)


def descendants(pid: int) -> list[int]:
    """All generations below a process, each parent before its children."""
    return [below for child in children(pid) for below in (child, *descendants(child))]


def resident_mb(pids: Iterable[int]) -> dict[int, float]:
    """Resident memory by process."""
    pages = {pid: int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids}
    return {pid: count * os.sysconf("SC_PAGE_SIZE") / (1 << 20) for pid, count in pages.items()}


def count_descriptors(pids: Iterable[int]) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def left_running(pids: Iterable[int]) -> int:
    """How many of these processes are still alive after GRACE_SECONDS."""
    until = time.monotonic() + GRACE_SECONDS
    while (alive := sum(map(_is_alive, pids))) and time.monotonic() < until:
        time.sleep(0.01)
    return alive


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def judge_all(sandbox: Sandbox, tasks: list[Task], label: str, each: Callable[[int], None] = lambda done: None) -> dict:
    """Outcome by index; `each(done)` is called after each result."""
    outcomes = {}
    with tqdm(total=len(tasks), desc=label, unit="program", leave=False) as bar:
        for index, outcome in sandbox.stream(tasks):
            if index in outcomes:
                raise AssertionError(f"two results for task {index}")
            outcomes[index] = outcome
            bar.update()
            each(len(outcomes))
    return outcomes


def count_wrong(knowns: list[Known], outcomes: dict[int, Outcome]) -> int:
    """How many outcomes are not the known ones."""
    bad = [index for index, outcome in outcomes.items() if not knowns[index].holds(outcome)]
    show("not as expected", [f"{knowns[index].task.program!r}\n    {outcomes[index]}" for index in bad])
    return len(bad)


def show(what: str, texts: list[str]) -> None:
    """The first few on stderr."""
    for text in texts[:5]:
        print(f"{what}: {text}", file=sys.stderr)


# The parts ---------------------------------------------------------------------------------------------------------


def soak(options: StressOptions, r: random.Random) -> list[Figure]:
    knowns = [known(r, number, hangs=True) for number in range(options.soak)]
    warm_up = [known(r, number, hangs=False).task for number in range(options.soak, options.soak + 400)]
    own_before = count_descriptors([os.getpid()])
    with Sandbox(options.slots, LIMITS) as sandbox:
        judge_all(sandbox, warm_up, "warm-up")  # fills the caches of compiled tests, copies shared pages
        before = resident_mb(descendants(os.getpid()))
        open_before = count_descriptors(before)
        began = time.monotonic()
        outcomes = judge_all(sandbox, [item.task for item in knowns], "soak")
        seconds = time.monotonic() - began
        after = resident_mb(descendants(os.getpid()))
        open_after = count_descriptors(after)
    grown = [after[pid] - before[pid] for pid in before.keys() & after.keys()]
    return [
        Figure("programs", len(knowns)),
        Figure("programs/s", len(knowns) / seconds),
        Figure("results lost", len(knowns) - len(outcomes), 0),
        Figure("results wrong or swapped", count_wrong(knowns, outcomes), 0),
        Figure("memory of all processes, MB", sum(after.values())),
        Figure("largest growth of a process, MB", max(grown, default=0.0), MEMORY_BAR_MB),
        Figure("descriptors more than before", open_after - open_before, 0),
        Figure("processes more, fewer or replaced", len(before.keys() ^ after.keys()), 0),
        Figure("processes left after the end", left_running(after), 0),
        Figure("our own descriptors more", count_descriptors([os.getpid()]) - own_before, 0),
    ]


def faults(options: StressOptions, r: random.Random) -> list[Figure]:
    knowns = [known(r, number, hangs=False) for number in range(options.faults * PROGRAMS_PER_FAULT)]
    moments = sorted(r.sample(range(1, len(knowns)), options.faults), reverse=True)
    killed = {"judge": 0, "waiting zygote": 0, "forking zygote": 0}
    seen: set[int] = set()  # all processes that there ever were
    with Sandbox(options.slots, LIMITS) as sandbox:

        def kill_at_moments(done: int) -> None:
            seen.update(descendants(os.getpid()))
            while moments and moments[-1] <= done:
                time.sleep(r.uniform(0.0, 0.01))
                killed[kill_one(sandbox, r)] += 1
                moments.pop()

        outcomes = judge_all(sandbox, [item.task for item in knowns], "faults", kill_at_moments)
        sandbox.run([known(r, 0, hangs=False).task])  # raises if no slot starts any more
    lost = sum(outcome.error_type == "SlotLost" for outcome in outcomes.values())
    return [
        Figure("programs", len(knowns)),
        *(Figure(f"killed: {name}", count) for name, count in killed.items()),
        Figure("results lost", len(knowns) - len(outcomes), 0),
        Figure("results given up (SlotLost)", lost, 0),
        Figure("results wrong or swapped", count_wrong(knowns, outcomes), 0),
        Figure("processes left after the end", left_running(seen), 0),
    ]


def kill_one(sandbox: Sandbox, r: random.Random) -> str:
    """Kill a judge, or a zygote (the one that forks, or the one that waits outside of its namespace); returns which."""
    while True:
        slot, depth = r.choice(sandbox._keeper.slots), r.randrange(3)
        process = slot.process
        if process is None or slot.status is None:  # not running yet
            time.sleep(0.001)
            continue
        with contextlib.suppress(IndexError, ProcessLookupError):  # it has just ended: take another
            os.kill([process.pid, *descendants(process.pid)][depth], signal.SIGKILL)
            return ("judge", "waiting zygote", "forking zygote")[depth]


def fuzz(options: StressOptions, r: random.Random) -> list[Figure]:
    return judge_unknowing("fuzz", options, [random_program(r) for _ in range(options.fuzz)])


def replies(options: StressOptions, r: random.Random) -> list[Figure]:
    texts = [mutate(r, r.choice(REPLIES), _REPLY_WORDS.split()) for _ in range(options.replies)]
    return judge_unknowing("replies", options, [SPEAKER.replace("REPLY", repr(text)) for text in texts])


def judge_unknowing(part: str, options: StressOptions, programs: list[str]) -> list[Figure]:
    """Judge programs that cannot know what SECRET_TESTS want."""
    tasks = [Task(program, SECRET_TESTS, "f") for program in programs]
    with Sandbox(options.slots, LIMITS) as sandbox:
        before = descendants(os.getpid())
        began = time.monotonic()
        outcomes = judge_all(sandbox, tasks, part)
        seconds = time.monotonic() - began
        after = descendants(os.getpid())
    longest = LIMITS.program_wall_seconds + GRACE_SECONDS
    found = outcomes.values()
    won = [index for index, outcome in outcomes.items() if outcome.passed]
    lost = [index for index, outcome in outcomes.items() if outcome.error_type == "SlotLost"]
    show("passed", [repr(programs[index]) for index in won])
    show("killed its slot", [repr(programs[index]) for index in lost])
    return [
        Figure("programs", len(programs)),
        Figure("programs/s", len(programs) / seconds),
        Figure("results lost", len(programs) - len(outcomes), 0),
        Figure("that compile", sum(outcome.stage > Stage.SYNTAX_ERROR for outcome in found)),
        Figure("that return something", sum(outcome.stage >= Stage.OUTPUT for outcome in found)),
        Figure("tampering noticed", sum(outcome.tamper is not None for outcome in found)),
        Figure("judges or zygotes crashed", len(lost) + len(set(before) ^ set(after)), 0),
        Figure("judge out of time", sum(outcome.timeout == "judge" for outcome in found), 0),
        Figure("hangs beyond the limits", sum(outcome.seconds > longest for outcome in found), 0),
        Figure("tests passed", len(won), 0),
        Figure("processes left after the end", left_running({*before, *after}), 0),
    ]


# Random programs and replies ---------------------------------------------------------------------------------------

# No program holds these numbers or anything near them.
SECRET_TESTS = ("assert f(1) == 918273645", "assert f(2) in [564738291]", "assert set(f(3)) == {746352819}")

_WORDS = """
def class return yield lambda if else for while in not and or import from as try except finally raise with pass
None True False f x self print len range int str list dict set open exec eval globals type super object os sys
( ) [ ] { } : , . = == + - * ** / // % @ & | ~ < > ; -> := ' " ''' \\ # 0 1 2 9**9 1e9 0x 'a' f'' async await
"""

# Answers the judge itself: it reads the nonce from the stack and writes to the descriptor of the protocol.
SPEAKER = """
import json, os, struct, sys
def nonce():
    frame = sys._getframe()
    while frame:
        for value in list(frame.f_locals.values()):
            if type(value) is str and len(value) == 16 and set(value) <= set("0123456789abcdef"):
                return value
        frame = frame.f_back
def f(x):
    n = nonce()
    while True:
        body = REPLY.replace("NONCE", n).encode("utf-8", "surrogatepass")
        os.write(100, struct.pack(">I", len(body)) + body)
        size, = struct.unpack(">I", os.read(100, 4))
        n = json.loads(os.read(100, size))[0]
"""
REPLIES = (
    '["NONCE", "value", {"tuple": [1, 2.5, "a", null, true]}]',
    '["NONCE", "value", {"dict": [[{"bytes": "00ff"}, {"set": [1, 2]}], [{"int": "0xfffffffffffffffff"}, []]]}]',
    '["NONCE", "value", {"handle": [0, "A"]}]',
    '["NONCE", "value", {"builtin": "len"}]',
    '["NONCE", "value", [{"Fraction": ["0x1", "0x3"]}, {"Decimal": "1.5"}, {"range": [0, 9, 2]}, {"deque": []}]]',
    '["NONCE", "value", [{"date": "2026-01-31"}, {"timedelta": [1, 2, 3]}, {"complex": [0.0, 1.0]}]]',
    '["NONCE", "raised", "ValueError", "message", 3, 4]',
    '["NONCE", "stop"]',
    '["NONCE", "too large"]',
    '["not plain"]',
)
_REPLY_WORDS = '{ } [ ] , : " \\ null true NaN -1 1e999 "NONCE" "value" "stop" {"set": {"tuple": {"handle": \\u0000'


def random_program(r: random.Random) -> str:
    """Random bytes, random words, or (mostly) a program with small changes."""
    kind, words = r.randrange(8), _WORDS.split()
    if kind == 0:
        return r.randbytes(r.randrange(1, 200)).decode(r.choice(("latin-1", "ascii")), "surrogateescape")
    if kind == 1:
        return "".join(r.choice(words) + r.choice((" ", " ", "\n", "\n    ")) for _ in range(r.randrange(1, 60)))
    speaker = SPEAKER.replace("REPLY", repr(r.choice(REPLIES)))
    source = r.choice([source for _, source, *_ in PROGRAMS.values()] + [SCRIPT, HANG, speaker])
    return mutate(r, source.replace("K", "3"), words) + f"\n# {r.random()}\n"


def mutate(r: random.Random, text: str, words: list[str]) -> str:
    """The text with one to four small changes, so that some results still mean something."""
    for _ in range(r.choice((1, 1, 1, 2, 4))):
        change, parts, lines = r.randrange(3), re.split(r"(\w+)", text), text.split("\n")
        if change == 0:  # remove, replace, insert or repeat some characters
            start = r.randrange(len(text) + 1)
            end = min(len(text), start + r.choice((1, 3, 20)))
            character = chr(r.choice((r.randrange(128), r.randrange(0x110000))))
            middle = r.choice(("", character, r.choice(words) + text[start:end], text[start:end] * r.choice((2, 50))))
            text = text[:start] + middle + text[end:]
        elif change == 1 and len(parts) > 1:  # replace a word (odd indices) by another of the text or of the list
            parts[r.randrange(1, len(parts), 2)] = r.choice((r.choice(parts[1::2]), r.choice(words)))
            text = "".join(parts)
        elif change == 2:  # remove, double, indent or move a line
            line = lines.pop(r.randrange(len(lines)))
            for new in r.choice(([], [line, line], ["    " + line], [line])):
                lines.insert(r.randrange(len(lines) + 1), new)
            text = "\n".join(lines)
    return text


if __name__ == "__main__":
    sys.exit(main())
