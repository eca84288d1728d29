"""Programs that take more than their share or reach for what is not theirs. A good program follows each."""

import os
import time
from pathlib import Path

import pytest

from sandbox import Job, Limits, Sandbox, Stage

LIMITS = Limits(cpu_seconds=0.3, wall_seconds=1.5, memory_bytes=96 << 20)
GOOD = Job("def f(x):\n    return x + 1\n", ("assert f(1) == 2",), "f")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a program a user of its own")


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(workers=1, limits=LIMITS) as sandbox:
        yield sandbox


def run(sandbox, body, tests=("assert f(1) == 2", "assert f(2) == 3")):
    """The outcome of a function with this body; a good program must pass right after it."""
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    outcome, after = sandbox.run([Job(f"import os, sys\ndef f(x):\n{lines}", tests, "f"), GOOD])
    assert after.stage == Stage.PASSED
    return outcome


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "return pow(3, 10**9)",
        "import re\nreturn re.match('(a+)+$', 'a' * 40 + 'b')",
        "import time\ntime.sleep(100)",
        "import signal\nos.kill(os.getpid(), signal.SIGSTOP)",
        "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0)\nwhile True: pass",
        "import threading\nthreading.Thread(target=lambda: pow(3, 10**9)).start()\nwhile True: pass",
    ],
    ids=["loop", "swallow", "pow", "regex", "sleep", "stop", "timer", "threads"],
)
def test_time(sandbox, body):
    """Bug: a loop in Python or C, a sleep, or a stopped process outlives its limit or blocks the next one."""
    began = time.monotonic()
    outcome = run(sandbox, body)
    assert (outcome.stage, outcome.error_type) == (Stage.RUNS, "Timeout")
    assert outcome.tests == ("timeout", "not run")
    assert time.monotonic() - began < 5.0


def test_cpu_and_wall_are_counted_over_all_forks(sandbox):
    """Bug: a program that burns time and crashes on every test gets the limit anew each time."""
    body = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\nos._exit(0)"
    outcome = run(sandbox, body, tuple(f"assert f({i}) == 0" for i in range(20)))
    assert outcome.timed_out
    assert outcome.tests[:2] == ("crash", "timeout")
    assert outcome.seconds < 3.0  # twenty tests at 0.2


@pytest.mark.parametrize(
    "body",
    [
        "return bytearray(3 << 30)",
        "x = []\nwhile True: x.append(bytearray(1 << 20))",
        "return 'a' * (1 << 40)",
        "x = None\nwhile True: x = (x, 1)",
    ],
)
def test_memory(body):
    """Bug: memory is not limited, or the report of MemoryError fails for lack of memory."""
    # Enough time to fill the memory on a busy machine.
    with Sandbox(workers=1, limits=Limits(cpu_seconds=5.0, wall_seconds=9.0, memory_bytes=64 << 20)) as roomy:
        outcome = run(roomy, body, ("assert f(1) == 2",))
    assert outcome.tests == ("MemoryError",)


@pytest.mark.parametrize(
    "body",
    [
        "for _ in range(200): print('x' * (1 << 20))",
        "for _ in range(200): os.write(1, b'x' * (1 << 20))",
        "for _ in range(200): os.write(2, b'x' * (1 << 20))",
    ],
)
def test_output(sandbox, body):
    """Bug: 200 MB of output hang on a full pipe, or land in the caller's memory."""
    outcome = run(sandbox, body)
    assert outcome.tests == ("OSError", "OSError")
    assert outcome.output == "x" * 2000


def test_limits_are_hard(sandbox):
    """Bug: the program raises its own limits."""
    body = (
        "import resource as r\n"
        "kinds = r.RLIMIT_CPU, r.RLIMIT_AS, r.RLIMIT_FSIZE, r.RLIMIT_NPROC, r.RLIMIT_NOFILE, r.RLIMIT_CORE\n"
        "for kind in kinds:\n"
        "    soft, hard = r.getrlimit(kind)\n"
        "    assert soft == hard >= 0\n"
        "    try: r.setrlimit(kind, (hard + 1, hard + 1))\n"
        "    except ValueError: continue\n"
        "    raise AssertionError(kind)\n"
        "files = []\n"
        "while True: files.append(open('/dev/null'))"
    )
    assert run(sandbox, body).tests == ("OSError", "OSError")  # too many open files


@as_root
def test_fork_bomb(sandbox):
    """Bug: processes are not limited (RLIMIT_NPROC means nothing to root) or survive the program."""
    assert run(sandbox, "while True: os.fork()").passed == 0
    body = (
        "import time\nn = 0\ntry:\n    while os.fork(): n += 1\n    time.sleep(9)\n"
        "except BlockingIOError:\n    return n == 15"
    )
    assert run(sandbox, body, ("assert f(1)",)).stage == Stage.PASSED
    user = int(run(sandbox, "print(os.getuid())").output.split()[0])
    assert processes_of(user) == []


def processes_of(user):
    """Process ids with this real user id."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if f"Uid:\t{user}\t" in Path(f"/proc/{pid}/status").read_text():
                found.append(int(pid))
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
    return found


DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        import time
        print("daemon", os.getpid(), flush=True)
        {loop}
    os._exit(0)
import time
time.sleep(0.1)
return x + 1
"""


@as_root
@pytest.mark.parametrize("loop", ["time.sleep(100)", "while True:\n            if os.fork(): os._exit(0)"])
def test_daemons(sandbox, loop):
    """Bug: a double-forked process in a session of its own survives, or delays the answer."""
    outcome = run(sandbox, DAEMON.strip().format(loop=loop), ("assert f(1) == 2",))
    assert outcome.stage == Stage.PASSED
    assert outcome.seconds < 50
    assert outcome.output.startswith("daemon")
    user = int(run(sandbox, "print(os.getuid())").output.split()[0])
    assert processes_of(user) == []


@pytest.mark.parametrize("call", ["os.kill(0, 9)", "os.killpg(os.getpgrp(), 9)"])
def test_killing_its_own_group(sandbox, call):
    """Bug: the program shares a process group with its zygote or the caller and takes them along."""
    pid = sandbox._slots[0].process.pid
    assert run(sandbox, call).tests == ("crash", "crash")
    assert sandbox._slots[0].process.pid == pid


@as_root
@pytest.mark.parametrize("call", ["os.kill(os.getppid(), {n})", f"os.kill({os.getpid()}, {{n}})"])
@pytest.mark.parametrize("number", [9, 19])
def test_killing_zygote_or_caller(sandbox, call, number):
    """Bug: the program can kill or stop its zygote or the trainer."""
    pid = sandbox._slots[0].process.pid
    assert run(sandbox, call.format(n=number)).tests == ("PermissionError",) * 2
    assert sandbox._slots[0].process.pid == pid


@as_root
def test_kill_all_reaches_no_other_slot():
    """Bug: two slots share a user, so that kill(-1) in one program kills an innocent one."""
    killer = Job("import os\nos.kill(-1, 9)\n", ("assert f(1) == 2",), "f")
    slow = "import time\ndef f(x):\n    time.sleep(0.2)\n    return x + 1\n"
    jobs = [Job(f"{slow}# {i}\n", ("assert f(1) == 2",), "f") for i in range(3)]
    with Sandbox(workers=2, limits=LIMITS) as sandbox:
        outcomes = sandbox.run([jobs[0], killer, jobs[1], killer, jobs[2]])
    assert [outcome.stage for outcome in outcomes if outcome.error_type is None] == [Stage.PASSED] * 3


def test_environment(sandbox, monkeypatch):
    """Bug: tokens in the caller's environment reach the program."""
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    with Sandbox(workers=1, limits=LIMITS) as fresh:
        outcome = run(fresh, "print(sorted(os.environ))", ("f(1)",))
    assert set(eval(outcome.output)) <= {"LC_CTYPE", "LD_LIBRARY_PATH", "PYTHONHASHSEED"}


@as_root
def test_zygote_memory_and_caller_environment_are_closed(sandbox):
    """Bug: the program reads the zygote's memory (jobs, nonces) or the caller's environment in /proc."""
    assert run(sandbox, "open(f'/proc/{os.getppid()}/mem', 'rb')").tests == ("PermissionError",) * 2
    assert run(sandbox, f"open('/proc/{os.getpid()}/environ').read()").tests == ("PermissionError",) * 2


def test_working_directory(sandbox):
    """Bug: a file left by one program is there for the next."""
    assert run(sandbox, "return len(os.listdir())", ("assert f(1) == 0",)).stage == Stage.PASSED
    assert run(sandbox, "open('left', 'w')").tests == ("PermissionError",) * 2


def test_no_new_privileges(sandbox):
    """Bug: a setuid program gives root back."""
    body = "return 'NoNewPrivs:\\t1' in open('/proc/self/status').read()"
    assert run(sandbox, body, ("assert f(1)",)).stage == Stage.PASSED


def test_only_the_standard_library(sandbox):
    """Bug: an outcome depends on what is installed; or modules not loaded beforehand cannot be imported."""
    assert run(sandbox, "import pytest").tests == ("ModuleNotFoundError",) * 2
    body = "import colorsys, concurrent.futures, email.message, xml.etree.ElementTree, _ssl\nreturn x + 1"
    assert run(sandbox, body).stage == Stage.PASSED


def test_descriptors(sandbox):
    """Bug: pipes of the zygote (jobs, reports of others) are open in the program."""
    body = "return sorted(int(n) for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{n}'))"
    outcome = run(sandbox, "print(" + body.removeprefix("return ") + ")", ("f(1)",))
    assert set(eval(outcome.output)) <= {0, 1, 2, 100, 101}
