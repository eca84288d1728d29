"""The sandbox under stress: a soak, processes killed at random moments, random programs, malformed replies.

    python experiments/stress.py --soak 20000 --faults 200 --fuzz 20000 --replies 5000

* soak: right, wrong, broken and hostile programs, whose outcomes are known beforehand, in random order. Afterwards
  the processes of the sandbox must be the same, and hold as many descriptors and as much memory as before.
* faults: 25 programs for each fault. A fault is a judge or a zygote (the one that forks, or the one that waits
  outside of its namespace) killed at a random moment. Every outcome must be there and right.
* fuzz: random bytes, random words of Python and mutated programs. The tests want a number that none of them holds.
* replies: programs that answer the judge themselves, with the right nonce and a mutated reply. Likewise.

A count of 0 leaves a part out. Prints one table; the exit status is 1 if a bar is missed. Linux only: it looks into
/proc. Programs that hang take no part in faults: one that runs for a whole second is likely to be hit three times in
a row, and the sandbox then rightly gives it up.
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

from experiments.options import bad_input_is_one_line, check_at_least, option, parse
from sandbox import Case, Limits, Outcome, Sandbox, Stage, Task

PROGRAMS_PER_FAULT = 25
MEMORY_BAR_MB = 2.0
# What a hang may cost beyond its limits: ending one child and starting the next, on a busy machine.
GRACE_SECONDS = 5.0

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
    soak: int = option(2000, "programs of the soak")
    faults: int = option(20, "processes killed")
    fuzz: int = option(2000, "random and mutated programs")
    replies: int = option(500, "malformed replies to the judge")
    slots: int = option(2, "slots of the sandbox")
    seed: int = option(0, "of all random choices")


@dataclass
class Figure:
    """One line of the table; `bar` is the value that must be reached, None where there is none."""

    part: str
    name: str
    value: float
    bar: float | None = None

    @property
    def missed(self) -> bool:
        return self.bar is not None and self.value > self.bar


def main(arguments: list[str] | None = None) -> int:
    options = parse(StressOptions, arguments, "stress.py", __doc__.splitlines()[0])
    with bad_input_is_one_line("stress.py"):
        if sys.platform != "linux":
            raise ValueError(f"needs Linux, to look into /proc; this is {sys.platform}")
        check_at_least(options, 0, "soak", "faults", "fuzz", "replies")
        check_at_least(options, 1, "slots")
    figures = []
    for part in (soak, faults, fuzz, replies):
        if getattr(options, part.__name__):
            figures += part(options, random.Random(f"{options.seed} {part.__name__}"))
    print_table(figures)
    return 1 if any(figure.missed for figure in figures) else 0


def print_table(figures: list[Figure]) -> None:
    print(f"{'part':<8} {'figure':<42} {'value':>12} {'at most':>8}")
    for figure in figures:
        value = f"{figure.value:,.1f}" if isinstance(figure.value, float) else f"{figure.value:,}"
        bar = "" if figure.bar is None else f"{figure.bar:g}"
        print(f"{figure.part:<8} {figure.name:<42} {value:>12} {bar:>8}{'  MISSED' if figure.missed else ''}")


# Programs with known outcomes -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """A task and what must come of it. Each program prints its own number, so that no two outcomes are the same."""

    task: Task
    stage: Stage
    passed: int
    error_types: tuple[str | None, ...]
    output: str

    def holds(self, outcome: Outcome) -> bool:
        return (
            (outcome.stage, outcome.passed) == (self.stage, self.passed)
            and outcome.error_type in self.error_types
            and outcome.output.startswith(self.output)
        )


# Name: (how often, source with K for a number below 50, stage, tests passed of two, error types).
KINDS: dict[str, tuple[int, str, Stage, int, tuple[str | None, ...]]] = {
    "right": (40, "def f(x): return x + K", Stage.PASSED, 2, (None,)),
    "class": (5, "class f(int): pass\ng = f\ndef f(x): return g(x + K)", Stage.PASSED, 2, (None,)),
    "wrong": (15, "def f(x): return x - K - 9", Stage.OUTPUT, 0, ("AssertionError",)),
    "half": (10, "def f(x): return x + K if x == 1 else [x]", Stage.PARTIAL, 1, ("AssertionError",)),
    "raises": (10, "def f(x): return x / 0", Stage.RUNS, 0, ("ZeroDivisionError",)),
    "syntax": (5, "def f(x) return x + K", Stage.SYNTAX_ERROR, 0, ("SyntaxError",)),
    "body": (5, "import nowhere\ndef f(x): return x + K", Stage.PARSES, 0, ("ModuleNotFoundError",)),
    "missing": (5, "def g(x): return x + K", Stage.RUNS, 0, ("EntryPointMissing",)),
    "exit": (5, "def f(x): exit()", Stage.RUNS, 0, ("SystemExit",)),
    "crash": (5, "import os\ndef f(x): os._exit(0)", Stage.RUNS, 0, ("Crash",)),
    "segfault": (2, "import ctypes\ndef f(x): ctypes.string_at(0)", Stage.RUNS, 0, ("Crash",)),
    "equal": (
        5,
        "class E:\n    __eq__ = lambda s, o: True\ndef f(x): return E()",
        Stage.OUTPUT,
        0,
        ("AssertionError",),
    ),
    "forge": (
        5,
        "import os\nos.write(100, b'\\0\\0\\0\\2[]')\ndef f(x): return x + K",
        Stage.PARSES,
        0,
        ("Tampering",),
    ),
    "flood": (3, "import os\ndef f(x):\n    while 1: os.write(2, b'x' * 9**6)", Stage.RUNS, 0, ("OSError",)),
    "memory": (3, "def f(x): return bytearray(3 << 30)", Stage.RUNS, 0, ("MemoryError",)),
    "threads": (
        3,
        "import threading as t, time\ndef f(x):\n    t.Thread(target=time.sleep, args=(9,)).start()\n    return x + K",
        Stage.PASSED,
        2,
        (None,),
    ),
    "fork": (
        5,
        "import os\ndef f(x):\n    if os.fork(): os._exit(0)\n    while 1: pass",
        Stage.RUNS,
        0,
        ("PermissionError", "OSError", "BlockingIOError"),
    ),
    "write": (
        5,
        "def f(x): open('/tmp/stress', 'w')",
        Stage.RUNS,
        0,
        ("PermissionError", "FileNotFoundError", "OSError"),
    ),
    "deep": (3, "def f(x): return f(x)", Stage.RUNS, 0, ("RecursionError",)),
    "large": (3, "def f(x): return 'x' * 10**6", Stage.RUNS, 0, ("ReplyTooLarge",)),
}
SCRIPT = "print(int(input()) + K)"
HANG = "def f(x):\n    while x == 1: pass\n    return x + K"


def known(r: random.Random, number: int, hangs: bool) -> Known:
    """One program of a random kind."""
    k = number % 50  # few different tests, as in training: the judge keeps them compiled
    if hangs and r.random() < 0.005:
        return _known(HANG, number, k, Stage.PARTIAL, 1, ("Timeout",))
    if r.random() < 0.1:
        task = Task(f"{SCRIPT.replace('K', str(number))}", cases=(Case("1", str(number + 1)), Case("2", str(k))))
        return Known(task, Stage.PARTIAL, 1, ("AssertionError",), f"{number + 2}\n")
    names = list(KINDS)
    name = r.choices(names, [KINDS[name][0] for name in names])[0]
    return _known(KINDS[name][1], number, k, *KINDS[name][2:])


def _known(source: str, number: int, k: int, stage: Stage, passed: int, error_types: tuple) -> Known:
    tests = (f"assert f(1) == {k + 1}", f"assert f(2) == {k + 2}")
    task = Task(f"print({number}, flush=True)\n{source.replace('K', str(k))}\n", tests, "f")
    return Known(task, stage, passed, error_types, "" if stage == Stage.SYNTAX_ERROR else f"{number}\n")


# The processes of a sandbox, seen from outside ------------------------------------------------------------------


def children(pid: int) -> list[int]:
    """Processes that a process has started, by any of its threads; those that end meanwhile count as none."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in list(Path(f"/proc/{pid}/task").iterdir()):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, (thread / "children").read_text().split())
    return sorted(found)


def descendants(pid: int) -> list[int]:
    """All generations below a process, a parent before its children."""
    return [below for child in children(pid) for below in (child, *descendants(child))]


def judge_pids(judge: Sandbox) -> list[int]:
    return [slot.process.pid for slot in judge._keeper.slots if slot.process is not None]


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def descriptors(pids: Iterable[int]) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


@dataclass
class Snapshot:
    """The processes of a sandbox at one moment.

    judges       ids of the judges among them; the others are zygotes
    memory_mb    resident memory by process id
    descriptors  how many are open in all of them together
    """

    judges: set[int]
    memory_mb: dict[int, float]
    descriptors: int

    def sum_mb(self, pids: Iterable[int]) -> float:
        return sum((self.memory_mb[pid] for pid in pids), start=0.0)


def snapshot(judge: Sandbox) -> Snapshot:
    pids = descendants(os.getpid())
    return Snapshot(set(judge_pids(judge)), {pid: resident_mb(pid) for pid in pids}, descriptors(pids))


def left_running(pids: Iterable[int]) -> int:
    """How many of these processes are still there, some time after they should have ended."""
    until = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < until and any(map(_is_alive, pids)):
        time.sleep(0.01)
    return sum(map(_is_alive, pids))


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def judge_all(judge: Sandbox, tasks: list[Task], label: str, each: Callable[[int], None] = lambda done: None) -> dict:
    """Outcome by index; `each(done)` is called after each result."""
    outcomes = {}
    with tqdm(total=len(tasks), desc=label, unit="program", leave=False) as bar:
        for index, outcome in judge.stream(tasks):
            if index in outcomes:
                raise AssertionError(f"two results for task {index}")
            outcomes[index] = outcome
            bar.update()
            each(len(outcomes))
    return outcomes


def wrong(knowns: list[Known], outcomes: dict[int, Outcome]) -> int:
    """How many results are not what they must be; the first few are shown."""
    bad = [index for index, outcome in outcomes.items() if not knowns[index].holds(outcome)]
    for index in bad[:5]:
        print(f"not as expected: {knowns[index].task.program!r}\n    {outcomes[index]}", file=sys.stderr)
    return len(bad)


# The parts ------------------------------------------------------------------------------------------------------


def soak(options: StressOptions, r: random.Random) -> list[Figure]:
    knowns = [known(r, number, hangs=True) for number in range(options.soak)]
    warm_up = [known(r, number, hangs=False).task for number in range(options.soak, options.soak + 400)]
    own_before = descriptors([os.getpid()])
    with Sandbox(options.slots, LIMITS) as judge:
        judge_all(judge, warm_up, "warm-up")  # caches of compiled tests, the first copies of pages
        before = snapshot(judge)
        began = time.monotonic()
        outcomes = judge_all(judge, [item.task for item in knowns], "soak")
        seconds = time.monotonic() - began
        after = snapshot(judge)
    return [
        Figure("soak", "programs", len(knowns)),
        Figure("soak", "programs/s", len(knowns) / seconds),
        Figure("soak", "results lost", len(knowns) - len(outcomes), 0),
        Figure("soak", "results wrong or swapped", wrong(knowns, outcomes), 0),
        *compare(before, after),
        Figure("soak", "processes left after the end", left_running(after.memory_mb), 0),
        Figure("soak", "our own descriptors more", descriptors([os.getpid()]) - own_before, 0),
    ]


def compare(before: Snapshot, after: Snapshot) -> list[Figure]:
    """What has grown. Processes that were replaced on the way are counted, and otherwise left out."""
    same = before.memory_mb.keys() & after.memory_mb.keys()
    grown = [after.memory_mb[pid] - before.memory_mb[pid] for pid in same]
    return [
        Figure("soak", "memory of judges before, MB", before.sum_mb(same & before.judges)),
        Figure("soak", "memory of judges after, MB", after.sum_mb(same & before.judges)),
        Figure("soak", "memory of zygotes before, MB", before.sum_mb(same - before.judges)),
        Figure("soak", "memory of zygotes after, MB", after.sum_mb(same - before.judges)),
        Figure("soak", "largest growth of a process, MB", max(grown, default=0.0), MEMORY_BAR_MB),
        Figure("soak", "descriptors more than before", after.descriptors - before.descriptors, 0),
        Figure("soak", "processes more, fewer or replaced", len(before.memory_mb.keys() ^ after.memory_mb.keys()), 0),
    ]


def faults(options: StressOptions, r: random.Random) -> list[Figure]:
    knowns = [known(r, number, hangs=False) for number in range(options.faults * PROGRAMS_PER_FAULT)]
    moments = sorted(r.sample(range(1, len(knowns)), options.faults), reverse=True)
    killed = {"judge": 0, "waiting zygote": 0, "forking zygote": 0}
    judges, seen = set(), set()  # process ids, of all that there ever were
    with Sandbox(options.slots, LIMITS) as judge:

        def kill_at_moments(done: int) -> None:
            seen.update(descendants(os.getpid()))
            judges.update(judge_pids(judge))
            while moments and moments[-1] <= done:
                time.sleep(r.uniform(0.0, 0.01))
                name = kill_one(judge, r)
                killed[name] += 1
                moments.pop()

        outcomes = judge_all(judge, [item.task for item in knowns], "faults", kill_at_moments)
        while moments:  # some were due after the last result
            killed[kill_one(judge, r)] += 1
            moments.pop()
        judge.run([known(r, 0, hangs=False).task])  # raises if no slot comes up any more
    lost = sum(outcome.error_type == "SlotLost" for outcome in outcomes.values())
    return [
        Figure("faults", "programs", len(knowns)),
        *(Figure("faults", f"killed: {name}", count) for name, count in killed.items()),
        Figure("faults", "slots replaced", len(judges) - options.slots),
        Figure("faults", "results lost", len(knowns) - len(outcomes), 0),
        Figure("faults", "results given up (SlotLost)", lost, 0),
        Figure("faults", "results wrong or swapped", wrong(knowns, outcomes), 0),
        Figure("faults", "processes left after the end", left_running(seen), 0),
    ]


def kill_one(judge: Sandbox, r: random.Random) -> str:
    """Kill a judge or zygote of a slot that is up; returns which. Waits for a slot to come up if need be."""
    while True:
        slot, depth = r.choice(judge._keeper.slots), r.randrange(3)
        process = slot.process
        if process is None or slot.status is None:
            time.sleep(0.001)
            continue
        chain = [process.pid, *descendants(process.pid)][: depth + 1]
        if len(chain) == depth + 1:
            with contextlib.suppress(ProcessLookupError):  # it has just ended; take another
                os.kill(chain[-1], signal.SIGKILL)
                return ("judge", "waiting zygote", "forking zygote")[depth]


# The number that the tests of fuzz and replies want. No program holds it, or anything near it.
SECRET_TESTS = ("assert f(1) == 918273645", "assert f(2) in [564738291]", "assert set(f(3)) == {746352819}")

_WORDS = """
def class return yield lambda if else for while in not and or import from as try except finally raise with pass
None True False f x self print len range int str list dict set open exec eval globals type super object os sys
( ) [ ] { } : , . = == + - * ** / // % @ & | ~ < > ; -> := ' " ''' \\ # 0 1 2 9**9 1e9 0x 'a' f'' async await
"""

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


def random_program(r: random.Random) -> str:
    """Random bytes, random words, or (mostly) a program with something changed."""
    kind = r.randrange(8)
    if kind == 0:
        return r.randbytes(r.randrange(1, 200)).decode(r.choice(("latin-1", "ascii")), "surrogateescape")
    words = _WORDS.split()
    if kind == 1:
        return "".join(r.choice(words) + r.choice((" ", " ", "\n", "\n    ")) for _ in range(r.randrange(1, 60)))
    speaker = SPEAKER.replace("REPLY", repr(r.choice(REPLIES)))
    source = r.choice([source for _, source, *_ in KINDS.values()] + [SCRIPT, HANG, speaker])
    return mutate(r, source.replace("K", "3"), words) + f"\n# {r.random()}\n"


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


def mutate(r: random.Random, text: str, words: list[str]) -> str:
    """The text with one change, sometimes a few: so little that some still mean something."""
    for _ in range(r.choice((1, 1, 1, 2, 4))):
        text = r.choice((_change_characters, _change_a_word, _change_lines))(r, text, words)
    return text


def _change_characters(r: random.Random, text: str, words: list[str]) -> str:
    """Some taken out, replaced, put in, or doubled."""
    start = r.randrange(len(text) + 1)
    end = min(len(text), start + r.choice((1, 3, 20)))
    character = chr(r.choice((r.randrange(128), r.randrange(0x110000))))
    middle = r.choice(("", character, r.choice(words) + text[start:end], text[start:end] * r.choice((2, 50))))
    return text[:start] + middle + text[end:]


def _change_a_word(r: random.Random, text: str, words: list[str]) -> str:
    """One replaced by another of the text, or from the list."""
    parts = re.split(r"(\w+)", text)  # words at the odd places
    if len(parts) > 1:
        parts[r.randrange(1, len(parts), 2)] = r.choice((r.choice(parts[1::2]), r.choice(words)))
    return "".join(parts)


def _change_lines(r: random.Random, text: str, words: list[str]) -> str:
    """One taken out, doubled, indented, or moved."""
    lines = text.split("\n")
    line = lines.pop(r.randrange(len(lines)))
    for new in r.choice(([], [line, line], ["    " + line], [line])):
        lines.insert(r.randrange(len(lines) + 1), new)
    return "\n".join(lines)


def fuzz(options: StressOptions, r: random.Random) -> list[Figure]:
    return _wins("fuzz", options, [random_program(r) for _ in range(options.fuzz)])


def replies(options: StressOptions, r: random.Random) -> list[Figure]:
    texts = [mutate(r, r.choice(REPLIES), _REPLY_WORDS.split()) for _ in range(options.replies)]
    return _wins("replies", options, [SPEAKER.replace("REPLY", repr(text)) for text in texts])


def _wins(part: str, options: StressOptions, programs: list[str]) -> list[Figure]:
    """Sandbox programs none of which can know what its tests want."""
    tasks = [Task(program, SECRET_TESTS, "f") for program in programs]
    with Sandbox(options.slots, LIMITS) as judge:
        before = descendants(os.getpid())
        began = time.monotonic()
        outcomes = judge_all(judge, tasks, part)
        seconds = time.monotonic() - began
        after = descendants(os.getpid())
    longest = LIMITS.program_wall_seconds + GRACE_SECONDS
    found = outcomes.values()
    won = [index for index, outcome in outcomes.items() if outcome.passed]
    for index in won[:5]:
        print(f"passed: {programs[index]!r}", file=sys.stderr)
    lost_slots = [index for index, outcome in outcomes.items() if outcome.error_type == "SlotLost"]
    for index in lost_slots[:5]:
        print(f"killed its slot: {programs[index]!r}", file=sys.stderr)
    return [
        Figure(part, "programs", len(programs)),
        Figure(part, "programs/s", len(programs) / seconds),
        Figure(part, "that compile", sum(outcome.stage > Stage.SYNTAX_ERROR for outcome in found)),
        Figure(part, "that return something", sum(outcome.stage >= Stage.OUTPUT for outcome in found)),
        Figure(part, "tampering noticed", sum(outcome.tamper is not None for outcome in found)),
        Figure(part, "results lost", len(programs) - len(outcomes), 0),
        Figure(part, "judges or zygotes crashed", len(lost_slots) + len(set(before) ^ set(after)), 0),
        Figure(part, "judge out of time", sum(outcome.timeout == "judge" for outcome in found), 0),
        Figure(part, "hangs beyond the limits", sum(outcome.seconds > longest for outcome in found), 0),
        Figure(part, "tests passed", len(won), 0),
        Figure(part, "processes left after the end", left_running({*before, *after}), 0),
    ]


if __name__ == "__main__":
    sys.exit(main())
