"""The caller's side: order, duplicates, dead zygotes, interruption, closing, determinism."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sandbox import Job, Limits, Sandbox, Stage, pool

ROOT = Path(__file__).resolve().parents[2]
LIMITS = Limits(cpu_seconds=0.5, wall_seconds=5.0)


def job(body="return x + 1", tests=("assert f(1) == 2",)):
    return Job(f"import os, time\ndef f(x):\n    {body}\n", tests, "f")


def children():
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_order_and_dispatch():
    """Bug: outcomes come in the order of completion, not of the jobs."""
    jobs = [job("while True: pass")] + [job(f"return x + {i}") for i in range(40)]
    with Sandbox(workers=2, limits=LIMITS) as sandbox:
        outcomes = sandbox.run(jobs)
    expected = [Stage.RUNS] + [Stage.PASSED if i == 1 else Stage.OUTPUT for i in range(40)]
    assert [outcome.stage for outcome in outcomes] == expected


def test_duplicates_are_run_once(monkeypatch):
    """Bug: the identical programs of one group are each executed, or only the first gets an outcome."""
    submitted = []
    submit = pool._Slot.submit
    monkeypatch.setattr(pool._Slot, "submit", lambda self, *a: (submitted.append(a[0]), submit(self, *a)))
    with Sandbox(workers=2, limits=LIMITS) as sandbox:
        outcomes = sandbox.run([job(), job("return x"), job(), job()])
        assert sandbox.run([]) == []
    assert [outcome.passed for outcome in outcomes] == [1, 0, 1, 1]
    assert len(submitted) == 2


def test_large_jobs():
    """Bug: a job or an answer larger than a pipe's buffer deadlocks."""
    large = Job("def f(x):\n    return x + 1\n#" + "x" * 10**6, ("assert f(1) == 2",) * 2000, "f")
    with Sandbox(workers=1) as sandbox:
        outcome = sandbox.run([large])[0]
    assert (outcome.stage, outcome.passed) == (Stage.PASSED, 2000)


def test_the_same_job_gives_the_same_outcome():
    """Bug: hash or random seeds, or what ran before, differ between zygotes and runs."""
    body = "print(list({'a', 'b', 'c', 'd', x}), hash('a'), __import__('random').random()); return x"
    jobs = [job(body), job("return [][x]"), job("os._exit(0)")]

    def run(order):
        with Sandbox(workers=2, limits=LIMITS) as sandbox:
            outcomes = sandbox.run(order)
        return {job_: dataclasses.replace(outcome, seconds=0.0) for job_, outcome in zip(order, outcomes, strict=True)}

    assert run(jobs) == run(jobs[::-1])


def test_dead_zygote_is_replaced():
    """Bug: a zygote killed between runs or during one loses the batch, hangs it, or is retried for ever."""
    with Sandbox(workers=2, limits=LIMITS) as sandbox:
        for slot in sandbox._slots:
            os.kill(slot.process.pid, signal.SIGKILL)
            os.waitid(os.P_PID, slot.process.pid, os.WEXITED | os.WNOWAIT)
        assert all(o.stage == Stage.PASSED for o in sandbox.run([job(f"return x + 1 # {i}") for i in range(10)]))
        jobs = [job(f"time.sleep(0.5); return x + 1 # {i}") for i in range(2)] + [job()]
        threading.Timer(0.2, os.kill, (sandbox._slots[0].process.pid, signal.SIGKILL)).start()
        outcomes = sandbox.run(jobs)
        assert [(o.stage, o.error_type) for o in outcomes] == [
            (Stage.SYNTAX_ERROR, "Crash"),
            (Stage.PASSED, None),
            (Stage.PASSED, None),
        ]


def test_silent_zygote_is_replaced(monkeypatch):
    """Bug: a stopped zygote hangs the caller."""
    monkeypatch.setattr(pool, "_GRACE_SECONDS", -4.0)
    with Sandbox(workers=1, limits=LIMITS) as sandbox:
        os.kill(sandbox._slots[0].process.pid, signal.SIGSTOP)
        outcomes = sandbox.run([job(), job("return x")])
    assert [o.error_type for o in outcomes] == ["Crash", "AssertionError"]


def test_zygote_that_cannot_start_is_an_error(monkeypatch, capfd):
    """Bug: a broken installation makes every program a crash, and training goes on with zero reward."""
    monkeypatch.setattr(pool, "_ZYGOTE", "/nowhere/zygote.py")
    before = children()
    with pytest.raises(RuntimeError, match="did not start"):
        Sandbox(workers=2)
    assert "/nowhere/zygote.py" in capfd.readouterr().err
    assert children() == before


def test_interrupted_run_leaves_the_pool_usable():
    """Bug: after Ctrl-C an old answer is taken for the next job's, or close() hangs."""

    def interrupt(signum, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with Sandbox(workers=2, limits=Limits(cpu_seconds=30.0, wall_seconds=30.0)) as sandbox:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(KeyboardInterrupt):
                sandbox.run([job("time.sleep(20)"), job("while True: pass"), job()])
            began = time.monotonic()
            assert [o.stage for o in sandbox.run([job(), job("return x")])] == [Stage.PASSED, Stage.OUTPUT]
        assert time.monotonic() - began < 10.0
    finally:
        signal.signal(signal.SIGALRM, before)


def test_close_leaves_nothing():
    """Bug: zygotes, their children, descriptors or the working directory outlive close()."""
    before, open_before = children(), os.listdir("/proc/self/fd")
    sandbox = Sandbox(workers=3, limits=LIMITS)
    directory = sandbox._directory.name
    sandbox.run([job()])
    sandbox.close()
    sandbox.close()
    assert children() == before
    assert len(os.listdir("/proc/self/fd")) == len(open_before)
    assert not os.path.exists(directory)
    with pytest.raises(RuntimeError, match="close"):
        sandbox.run([job()])


def test_killed_caller_takes_its_programs_along(tmp_path):
    """Bug: when the trainer is killed, zygotes and looping programs stay behind."""
    code = (
        "from sandbox import *\n"
        "sandbox = Sandbox(1, Limits(cpu_seconds=60.0, wall_seconds=60.0))\n"
        "print(sandbox._slots[0].process.pid, flush=True)\n"
        "sandbox.run([Job('while True: pass', ('assert f(1)',), 'f')])\n"
    )
    environment = dict(os.environ, PYTHONPATH=str(ROOT), TMPDIR=str(tmp_path))
    caller = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    zygote = int(caller.stdout.readline())
    time.sleep(0.2)
    program = int(Path(f"/proc/{zygote}/task/{zygote}/children").read_text())
    caller.kill()
    caller.wait()
    caller.stdout.close()
    until = time.monotonic() + 10.0
    while time.monotonic() < until and any(map(alive, (zygote, program))):
        time.sleep(0.02)
    assert not any(map(alive, (zygote, program)))


def alive(pid):
    """Whether a process exists and is more than a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_never_imports_torch():
    """Bug: the package (and so perhaps a zygote) drags in torch or other parts of the project."""
    code = (
        "import sys, sandbox\n"
        "bad = {'torch', 'numpy', 'rl', 'rewards', 'data', 'experiments'} & set(sys.modules)\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ, PYTHONPATH=str(ROOT)))
    # In the zygote and its children there is only what they imported themselves.
    program = "import sys\ndef f(x):\n    return {'torch', 'numpy', 'sandbox', 'harness'} & set(sys.modules)\n"
    with Sandbox(workers=1) as sandbox:
        assert sandbox.run([Job(program, ("assert f(1) == set()",), "f")])[0].stage == Stage.PASSED


def test_memory_and_descriptors_of_a_zygote_do_not_grow():
    """Bug: each program leaves a descriptor, a zombie or a piece of memory in its zygote."""

    def state(pid):
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return len(os.listdir(f"/proc/{pid}/fd")), resident

    with Sandbox(workers=1, limits=LIMITS) as sandbox:
        pid = sandbox._slots[0].process.pid
        sandbox.run([job(f"return {i}") for i in range(50)])
        files, resident = state(pid)
        sandbox.run([job(f"os._exit({i})") for i in range(150)] + [job(f"return {i}") for i in range(150)])
        assert sandbox._slots[0].process.pid == pid
        files_after, resident_after = state(pid)
    assert files_after == files
    assert resident_after <= resident + 64  # pages
