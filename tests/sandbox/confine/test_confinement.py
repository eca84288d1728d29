"""Programs that take more than their share or reach for what is not theirs. A good program follows each.

All layers are on; what each does by itself is tested in test_layers.py. Where a machine lacks some of them the tests
here are skipped, because a sandbox below full strength need not hold all of this.
"""

import os
import signal
import time
from pathlib import Path

import pytest

from experiments.stress import descendants
from sandbox import Limits, Sandbox, Stage, Task

LIMITS = Limits(
    test_cpu_seconds=0.3,
    test_wall_seconds=1.0,
    program_cpu_seconds=0.3,
    program_wall_seconds=1.0,
    memory_bytes=96 << 20,
)
GOOD = Task("def f(x):\n    return x + 1\n", ("assert f(1) == 2",), "f")
TESTS = ("assert f(1) == 2", "assert f(2) == 3")


@pytest.fixture(scope="module")
def judge():
    with Sandbox(slots=1, limits=LIMITS, allow_weak=True) as judge:
        missing = [name for name, state in judge.layers.items() if state != "on"]
        if missing:
            pytest.skip(f"not all layers work here: no {', '.join(missing)}")
        yield judge


@pytest.fixture(scope="module")
def roomy():
    """With enough time for what is slow on a busy machine."""
    with Sandbox(slots=1, limits=Limits(test_cpu_seconds=5.0, test_wall_seconds=20.0)) as judge:
        yield judge


@pytest.fixture(scope="module")
def cramped():
    """Likewise, but with little memory: enough time to fill it."""
    limits = Limits(test_cpu_seconds=5.0, test_wall_seconds=20.0, memory_bytes=96 << 20)
    with Sandbox(slots=1, limits=limits) as judge:
        yield judge


def program(body):
    return "import os, sys, time\ndef f(x):\n" + "".join(f"    {line}\n" for line in body.split("\n"))


def run(judge, body, tests=TESTS):
    """The outcome of a function with this body; a good program must pass right after it, in the same slot."""
    slot = judge._keeper.slots[0].process.pid
    outcome, after = judge.run([Task(program(body), tests, "f"), GOOD])
    assert after.stage == Stage.PASSED
    assert judge._keeper.slots[0].process.pid == slot
    return outcome


def words(outcome):
    """The verdicts' words; of an exception its type instead."""
    return [v.error_type if v.word == "error" else v.word for v in outcome.tests]


@pytest.fixture(autouse=True)
def _no_process_is_left(judge, roomy, cramped):
    """Bug (guarded in every test of this file): a process of the program outlives it."""
    before = sorted(descendants(os.getpid()))
    yield
    assert sorted(descendants(os.getpid())) == before


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("while True: pass", "cpu"),
        ("while True:\n    try:\n        while True: pass\n    except BaseException: pass", "cpu"),
        ("return pow(3, 10**9)", "cpu"),
        ("import re\nreturn re.match('(a+)+$', 'a' * 40 + 'b')", "cpu"),
        (
            "import signal\nfor n in {*range(1, 32)} - {9, 19}: signal.signal(n, lambda *a: 0)\nwhile True: pass",
            "cpu",
        ),
        ("import signal\nsignal.setitimer(signal.ITIMER_REAL, 0)\nwhile True: pass", "cpu"),
        ("import threading\nthreading.Thread(target=lambda: pow(3, 10**9)).start()\nwhile True: pass", "cpu"),
        (
            "import threading\nfor i in range(9): threading.Thread(target=pow, args=(3, 10**8)).start()\ntime.sleep(9)",
            "cpu",
        ),
        ("time.sleep(100)", "wall"),
        ("import threading\nthreading.Lock().acquire()\nthreading.Event().wait()", "wall"),
        ("sys.setrecursionlimit(10**9)\ndef g(): g()\ng()", None),
        ("import signal\nos.kill(os.getpid(), signal.SIGSTOP)", None),
    ],
    ids=["loop", "swallow", "pow", "regex", "handlers", "timer", "threads", "busy threads", "sleep", "lock"]
    + ["recursion", "stop"],
)
def test_time(judge, body, kind):
    """Bug: a loop in Python or C, a sleep, or a stopped process outlives its limit or blocks the next one."""
    began = time.monotonic()
    outcome = run(judge, body)
    assert outcome.passed == 0
    if kind:
        assert (outcome.stage, outcome.error_type, outcome.timeout) == (Stage.RUNS, "Timeout", kind)
        assert words(outcome) == ["timeout", "not run"]
    assert outcome.cpu_seconds < 1.0
    assert time.monotonic() - began < 10.0


def test_budget_of_all_starts_together(judge):
    """Bug: a program that burns time and crashes on every test gets the limit anew each time."""
    body = "end = time.process_time() + 0.2\nwhile time.process_time() < end: pass\nos._exit(0)"
    outcome = run(judge, body, tuple(f"assert f({i}) == 0" for i in range(20)))
    assert words(outcome)[:2] == ["crash", "timeout"]
    assert set(words(outcome)[2:]) == {"not run"}
    assert outcome.cpu_seconds < 1.0  # twenty tests at 0.2


@pytest.mark.parametrize(
    "body",
    [
        "return bytearray(3 << 30)",
        "x = []\nwhile True: x.append(bytearray(1 << 20))",
        "return 'a' * (1 << 40)",
        "x = None\nwhile True: x = (x, 1)",
        "import mmap\nreturn mmap.mmap(-1, 1 << 33)",
    ],
)
def test_memory(cramped, body):
    """Bug: memory is not limited, or the report of MemoryError fails for lack of memory."""
    outcome = run(cramped, body, ("assert f(1) == 2",))
    assert words(outcome) in (["MemoryError"], ["OSError"])  # OSError: how mmap says it
    assert outcome.out_of_memory == (words(outcome) == ["MemoryError"])
    assert outcome.peak_bytes < 128 << 20


@pytest.mark.parametrize(
    "body",
    [
        "for _ in range(200): print('x' * (1 << 20), flush=True)",
        "for _ in range(200): os.write(1, b'x' * (1 << 20))",
        "for _ in range(200): os.write(2, b'x' * (1 << 20))",
        "os.truncate(1, 1 << 40)",
    ],
)
def test_output(judge, body):
    """Bug: 200 MB of output hang on a full pipe, or land in the caller's memory."""
    outcome = run(judge, body)
    assert set(words(outcome)) <= {"OSError", "PermissionError"}
    assert outcome.output == ("" if "truncate" in body else "x" * 2000)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("os.fork()", "PermissionError"),
        ("import subprocess\nsubprocess.run(['/bin/true'])", None),
        ("os.execv(sys.executable, ['python'])", None),
        ("import multiprocessing\nmultiprocessing.Process(target=print).start()", None),
        ("import socket\nsocket.create_connection(('127.0.0.1', 22))", None),
        ("import socket\nsocket.socket(socket.AF_UNIX).connect('/run/x')", None),
        ("open('left', 'w')", None),
        ("open('/tmp/left', 'w')", None),
        ("open('/dev/shm/left', 'w')", None),
        ("os.mkdir('left')", None),
        ("os.symlink('a', '/tmp/b')", None),
        ("os.remove(os.__file__)", None),
        ("open('/proc/self/status')", None),
        ("open(f'/proc/{os.getppid()}/mem', 'rb')", None),
        ("open('/etc/passwd')", None),
        ("os.listdir('/home')", None),
        ("os.setuid(0)", "PermissionError"),
        ("os.nice(-5)", None),
        ("os.chroot('/')", None),
    ],
)
def test_out_of_reach(judge, body, error):
    """Bug: a program starts processes, connects, writes a file, reads what is not Python's own, or gains rights."""
    outcome = run(judge, body)
    assert outcome.passed == 0
    assert outcome.error_type in ({error} if error else {"PermissionError", "FileNotFoundError", "OSError"}), outcome
    assert not Path("/tmp/left").exists()


@pytest.mark.parametrize(
    "call",
    [
        "os.kill(0, {n})",
        "os.killpg(os.getpgrp(), {n})",
        "os.kill(-1, {n})",
        "os.kill(1, {n})",
        "os.kill(os.getppid(), {n})",
        "os.kill(TRAINER, {n})",
        "os.kill(JUDGE, {n})",
    ],
)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_signals_reach_nobody_else(judge, call, number):
    """Bug: the program can kill or stop its zygote, its judge, the trainer or all there is."""
    call = call.replace("TRAINER", str(os.getpid())).replace("JUDGE", str(judge._keeper.slots[0].process.pid))
    outcome = run(judge, call.format(n=int(number)))
    assert outcome.passed == 0
    assert outcome.error_type in ("Crash", "Timeout", "PermissionError", "ProcessLookupError", "AssertionError")


def test_signals_reach_no_other_slot():
    """Bug: two slots share a user, so that kill(-1) in one program kills an innocent one."""
    killer = Task("import os\nos.kill(-1, 9)\n", ("assert f(1) == 2",), "f")
    slow = "import time\ndef f(x):\n    time.sleep(0.2)\n    return x + 1\n"
    tasks = [Task(f"{slow}# {i}\n", ("assert f(1) == 2",), "f") for i in range(3)]
    with Sandbox(slots=2, limits=LIMITS) as judge:
        outcomes = judge.run([tasks[0], killer, tasks[1], killer, tasks[2]])
    assert [outcome.stage for outcome in outcomes[::2]] == [Stage.PASSED] * 3


def test_many_threads(judge):
    """Bug: threads, which the recursion idiom needs, are refused, or are not limited."""
    few = (
        "import threading\nt = [threading.Thread(target=print) for _ in range(8)]\n[u.start() for u in t]\nreturn x + 1"
    )
    assert run(judge, few).stage == Stage.PASSED
    many = (
        "import threading\nfor i in range(99):\n    threading.Thread(target=time.sleep, args=(9,)).start()\n"
        "    os.write(1, b'.')"
    )
    outcome = run(judge, many, ("f(1)",))
    assert outcome.error_type == "RuntimeError"  # "can't start new thread"
    assert 4 < len(outcome.output) < LIMITS.threads


def test_environment_and_arguments(monkeypatch):
    """Bug: tokens in the caller's environment, or paths and options in arguments, reach the program."""
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    body = "print(sorted(os.environ))\nprint(sys.argv, sys.orig_argv[-1:], sys.path, os.getcwd())"
    with Sandbox(slots=1, limits=LIMITS) as fresh:
        outcome = run(fresh, body, ("f(1)",))
    environment, rest = outcome.output.split("\n", 1)
    assert "hush" not in outcome.output
    assert set(eval(environment)) <= {"LC_CTYPE", "LD_LIBRARY_PATH", "PYTHONHASHSEED"}
    assert str(Path(__file__).parents[3]) not in rest


def test_only_the_standard_library(judge, roomy):
    """Bug: an outcome depends on what is installed; or modules not loaded beforehand cannot be imported."""
    assert words(run(judge, "import pytest")) == ["ModuleNotFoundError"] * 2
    assert words(run(judge, "import sandbox")) == ["ModuleNotFoundError"] * 2
    body = "import colorsys, concurrent.futures, email.message, xml.etree.ElementTree, hashlib, sqlite3\nreturn x + 1"
    assert run(roomy, body).stage == Stage.PASSED


def test_ordinary_things_work(roomy):
    """Bug: a confinement so tight that honest programs fail: clocks, random numbers, threads, event loops, listings."""
    body = (
        "import asyncio, random, secrets, tempfile, threading, time, os\n"
        "assert time.time() > 1e9 and time.perf_counter() and time.strftime('%Y')\n"
        "random.SystemRandom().random(), secrets.token_hex(), os.urandom(4), os.cpu_count(), os.getpid()\n"
        "time.sleep(0.001)\n"
        "asyncio.run(asyncio.sleep(0))\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(2) as pool: assert list(pool.map(abs, [-1, 2])) == [1, 2]\n"
        "os.path.exists('x'), os.listdir('.'), open('/dev/null').read()\n"
        "return x + 1"
    )
    outcome = run(roomy, body)
    assert outcome.stage == Stage.PASSED, outcome.tests


def test_home_is_empty(judge):
    """Bug: the caller's home, or the project's directory, is in sight. What leads to Python's library may be."""
    body = "try: return os.listdir({!r})\nexcept OSError: return []"
    for place in (Path.home(), Path(__file__).parent, Path(__file__).parents[3]):
        test = f"assert set(f(1)) <= {set(Path(os.__file__).parts)}"
        assert words(run(judge, body.format(str(place)), (test,))) == ["passed"]


def test_descriptors(judge):
    """Bug: sockets of the zygote (to the judge, to other programs) are open in the program."""
    body = (
        "found = []\nfor fd in range(400):\n    try: os.fstat(fd)\n    except OSError: continue\n"
        "    found.append(fd)\nreturn found"
    )
    assert words(run(judge, body, ("assert f(1) == [0, 1, 2, 100]",))) == ["passed"]


def test_limits_are_hard(judge):
    """Bug: the program raises its own limits."""
    body = (
        "import resource as r\n"
        "kinds = r.RLIMIT_CPU, r.RLIMIT_AS, r.RLIMIT_FSIZE, r.RLIMIT_NPROC, r.RLIMIT_NOFILE, r.RLIMIT_CORE\n"
        "for kind in kinds:\n"
        "    soft, hard = r.getrlimit(kind)\n"
        "    assert soft == hard >= 0\n"
        "    try: r.setrlimit(kind, (hard + 1, hard + 1))\n"
        "    except (OSError, ValueError): continue\n"
        "    raise AssertionError(kind)\n"
        "files = []\n"
        "try:\n    while True: files.append(open('/dev/null'))\n"
        "except OSError: return len(files)"
    )
    outcome = run(judge, body, (f"assert 40 < f(1) < {LIMITS.open_files}",))
    assert outcome.stage == Stage.PASSED, outcome.tests


def test_foreign_system_calls_are_tampering(judge):
    """Bug: system calls by another table (x32) get by the filter."""
    if os.uname().machine != "x86_64":
        pytest.skip("x32 is a table of x86-64")
    outcome = run(judge, "import ctypes\nctypes.CDLL(None).syscall(0x40000000 + 39)\nreturn x + 1")
    assert (outcome.error_type, outcome.passed) == ("Tampering", 0)
    assert "SIGSYS" in (outcome.tamper or "")
