"""The caller's side: order, duplicates, dead and stuck slots, interruption, closing, the trainer's death."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from experiments.stress import children, descendants
from sandbox import Limits, Sandbox, Stage, Task, pool

ROOT = Path(__file__).resolve().parents[2]
LIMITS = Limits(test_cpu_seconds=0.5, test_wall_seconds=5.0, program_cpu_seconds=0.5, program_wall_seconds=5.0)
LONG = Limits(test_cpu_seconds=60.0, test_wall_seconds=60.0, program_cpu_seconds=60.0, program_wall_seconds=60.0)
SLEEP = "time.sleep(40)"
LOOP = "while True: pass"

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def task(body="return x + 1", tests=("assert f(1) == 2",)):
    return Task(f"import os, time\ndef f(x):\n    {body}\n", tests, "f")


def alive(pid):
    """Whether a process exists and is more than a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def held():
    """Processes, descriptors and threads of this process."""
    return set(children(os.getpid())), set(os.listdir("/proc/self/fd")), set(threading.enumerate())


def wait_until(condition, seconds=20.0):
    """Until it holds; a failure if it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.01)


def judge_pids(judge):
    return [slot.process.pid for slot in judge._keeper.slots]


@pytest.fixture(scope="module")
def judge():
    """For tests that leave it as it was."""
    with Sandbox(slots=2, limits=LIMITS) as judge:
        yield judge


# Order --------------------------------------------------------------------------------------------------------


def test_order_and_dispatch(judge):
    """Bug: outcomes come in the order of completion, not of the tasks."""
    tasks = [task(LOOP)] + [task(f"return x + {i}") for i in range(40)]
    outcomes = judge.run(tasks)
    expected = [Stage.RUNS] + [Stage.PASSED if i == 1 else Stage.OUTPUT for i in range(40)]
    assert [outcome.stage for outcome in outcomes] == expected


def test_stream_gives_each_as_it_is_finished(judge):
    """Bug: the first outcome has to wait for the slowest, or an index belongs to another task."""
    tasks = [task("time.sleep(1); return x + 1"), *(task(f"return x + {i}") for i in range(20))]
    seen = list(judge.stream(tasks))
    assert sorted(index for index, _ in seen) == list(range(21))
    assert [index for index, _ in seen].index(0) >= 15  # some may wait in its slot
    assert {index for index, outcome in seen if outcome.passed} == {0, 2}


def test_a_batch_runs_while_the_caller_does_something_else(judge):
    """Bug: tasks are judged only while somebody waits for them."""
    with judge.submit([task(), task("return x")]) as batch:
        wait_until(lambda: batch.finished.qsize() == 2)
        assert [outcome.passed for outcome in batch.outcomes()] == [1, 0]


def test_several_threads_at_once(judge):
    """Bug: outcomes of one caller reach another."""
    found = {}

    def call(n):
        found[n] = judge.run([task(f"return x + {n} # {i}", (f"assert f(1) == {n + 1}",)) for i in range(30)])

    threads = [threading.Thread(target=call, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(outcome.stage == Stage.PASSED for n in range(4) for outcome in found[n])
    assert [len(found[n]) for n in range(4)] == [30] * 4


def test_duplicates_are_run_once(judge, monkeypatch):
    """Bug: the identical programs of one group are each executed, or only the first gets an outcome."""
    given = []
    give = pool._Slot.give
    monkeypatch.setattr(pool._Slot, "give", lambda self, entry, *a: (given.append(entry), give(self, entry, *a)))
    outcomes = judge.run([task(), task("return x"), task(), task()])
    assert judge.run([]) == []
    assert list(judge.stream([])) == []
    assert [outcome.passed for outcome in outcomes] == [1, 0, 1, 1]
    assert len(given) == 2


def test_large_tasks():
    """Bug: a task or an answer larger than a socket's buffer deadlocks."""
    large = Task("def f(x):\n    return x + 1\n#" + "x" * 10**6, ("assert f(1) == 2",) * 3000, "f")
    with Sandbox(slots=1) as judge:
        outcomes = judge.run([large, task()])
    assert [(outcome.stage, outcome.passed) for outcome in outcomes] == [(Stage.PASSED, 3000), (Stage.PASSED, 1)]


def test_a_program_larger_than_its_memory():
    """Bug: a child that dies while it still reads its program takes the judge along."""
    large = Task("def f(x): return x + 1\n#" + "x" * (20 << 20), ("assert f(1) == 2",), "f")
    with Sandbox(slots=1, limits=Limits(memory_bytes=40 << 20, judge_cpu_seconds=60.0)) as judge:
        pids = judge_pids(judge)
        outcomes = judge.run([large, task()])
        assert judge_pids(judge) == pids
    assert [outcome.passed for outcome in outcomes] == [0, 1]
    assert outcomes[0].error_type in ("Crash", "MemoryError")


# Dead and stuck processes -------------------------------------------------------------------------------------


@linux
def test_dead_judge_is_replaced():
    """Bug: a judge killed between runs or during one loses the batch, hangs it, or its task is not tried again."""
    with Sandbox(slots=2, limits=LIMITS) as judge:
        for pid in judge_pids(judge):
            os.kill(pid, signal.SIGKILL)
        tasks = [task(f"return x + 1 # {i}") for i in range(10)]
        assert all(outcome.stage == Stage.PASSED for outcome in judge.run(tasks))
        with judge.submit([task(f"time.sleep(0.5); return x + 1 # {i}") for i in range(3)]) as batch:
            time.sleep(0.2)
            os.kill(judge_pids(judge)[0], signal.SIGKILL)
            assert [outcome.stage for outcome in batch.outcomes()] == [Stage.PASSED] * 3


@linux
@pytest.mark.parametrize("generation", [0, 1])
def test_dead_zygote_is_replaced(generation):
    """Bug: a zygote (or the process that waits outside of its namespace) that dies makes its programs crashes."""
    with Sandbox(slots=1, limits=LIMITS) as judge:
        for busy in (False, True):
            tasks = [task(f"time.sleep(0.5); return x + 1 # {i} {busy}") for i in range(2)]
            with judge.submit(tasks if busy else []) as batch:
                time.sleep(0.2)
                chain = descendants(judge_pids(judge)[0])
                os.kill(chain[min(generation, len(chain) - 1)], signal.SIGKILL)
                assert [outcome.stage for outcome in batch.outcomes()] == [Stage.PASSED] * (2 * busy)
            assert judge.run([task()])[0].stage == Stage.PASSED


@linux
def test_a_task_that_kills_its_slot_every_time_is_given_up():
    """Bug: a task on which the judge always dies is tried for ever, or takes the task behind it along."""
    with Sandbox(slots=1, limits=LONG) as judge:
        with judge.submit([task(SLEEP), task(), task("return x")]) as batch:
            for _ in range(pool._TRIES):
                before = judge_pids(judge)[0]
                wait_until(lambda: judge._keeper.slots[0].entries and judge._keeper.slots[0].status)
                time.sleep(0.1)
                os.kill(before, signal.SIGKILL)
                wait_until(lambda before=before: judge._keeper.slots[0].process and judge_pids(judge)[0] != before)
            outcomes = batch.outcomes()
        assert [outcome.error_type for outcome in outcomes] == ["SlotLost", None, "AssertionError"]
        assert (outcomes[0].stage, outcomes[0].passed, outcomes[0].total) == (Stage.SYNTAX_ERROR, 0, 1)


@linux
@pytest.mark.parametrize("which", ["judge", "zygote"])
def test_silent_slot_is_replaced(monkeypatch, which):
    """Bug: a stopped judge or zygote hangs the caller."""
    monkeypatch.setattr(pool, "_GRACE_SECONDS", -1.0)
    limits = Limits(test_wall_seconds=0.4, program_wall_seconds=0.4, judge_cpu_seconds=0.6)
    with Sandbox(slots=1, limits=limits) as judge:
        pid = judge_pids(judge)[0]
        os.kill(pid if which == "judge" else descendants(pid)[-1], signal.SIGSTOP)
        outcomes = judge.run([task(), task("return x")])
        assert judge_pids(judge) != [pid]
    assert [outcome.error_type for outcome in outcomes] == [None, "AssertionError"]


def test_slot_that_cannot_start_is_an_error(monkeypatch, capfd):
    """Bug: a broken installation makes every program a crash, and training goes on with zero reward."""
    monkeypatch.setattr(pool, "command", lambda name: [sys.executable, "/nowhere/start.py", name])
    before = children(os.getpid())
    with pytest.raises(RuntimeError, match="not start"):
        Sandbox(slots=2)
    assert "/nowhere/start.py" in capfd.readouterr().err
    assert children(os.getpid()) == before


def test_smallest_limits_suffice():
    """Bug: a limit that is allowed leaves Python itself too little to run, and every program fails."""
    smallest = Limits(memory_bytes=32 << 20, open_files=8, threads=1, reply_bytes=64, output_bytes=1)
    with Sandbox(slots=1, limits=smallest) as judge:
        assert judge.run([task()])[0].stage == Stage.PASSED


def test_layers_and_weakness():
    """Bug: a sandbox below the minimum is used without a word; or `without` leaves nothing out."""
    with Sandbox(slots=1) as judge:
        names = dict(judge.layers)
    assert names
    with pytest.raises(pool.WeakSandbox, match="weak"):
        Sandbox(slots=1, without=tuple(names))
    with Sandbox(slots=1, without=tuple(names), allow_weak=True) as judge:
        assert "on" not in judge.layers.values()
        assert judge.run([task()])[0].stage == Stage.PASSED


# Interruption and end -----------------------------------------------------------------------------------------


def test_interrupted_run_leaves_the_judge_usable():
    """Bug: after Ctrl-C an old answer is taken for the next task's, or close() hangs."""

    def interrupt(signum, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with Sandbox(slots=2, limits=LONG) as judge:
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with pytest.raises(KeyboardInterrupt):
                judge.run([task(SLEEP), task(LOOP), task()])
            began = time.monotonic()
            assert [o.stage for o in judge.run([task(), task("return x")])] == [Stage.PASSED, Stage.OUTPUT]
        assert time.monotonic() - began < 20.0
    finally:
        signal.signal(signal.SIGALRM, before)


def test_stream_left_early_stops_the_rest():
    """Bug: tasks nobody waits for keep the slots busy."""
    with Sandbox(slots=1, limits=LONG) as judge:
        for index, _ in judge.stream([task(), *(task(f"{SLEEP} # {i}") for i in range(5))]):
            assert index == 0
            break
        began = time.monotonic()
        assert judge.run([task("return x + 1 # again")])[0].stage == Stage.PASSED
        assert time.monotonic() - began < 20.0


def test_cancelling_one_batch_leaves_the_others():
    """Bug: a cancelled batch takes along tasks of another that wait in the same slot, or lets them hang."""
    with Sandbox(slots=1, limits=LONG) as judge:
        stuck = judge.submit([task(SLEEP)])
        good = judge.submit([task(f"return x + 1 # {i}") for i in range(3)])
        time.sleep(0.2)
        stuck.cancel()
        assert [outcome.stage for outcome in good.outcomes()] == [Stage.PASSED] * 3


def test_batch_of_a_closed_judge_is_an_error():
    """Bug: whoever waits for a batch of a judge that was closed waits for ever."""
    judge = Sandbox(slots=1, limits=LONG)
    batch = judge.submit([task(SLEEP)])
    threading.Timer(0.2, judge.close).start()
    with pytest.raises(RuntimeError, match="closed"):
        batch.outcomes()
    with pytest.raises(RuntimeError, match="closed"):
        judge.run([task()])


@linux
def test_close_leaves_nothing():
    """Bug: judges, zygotes, programs, threads or descriptors outlive close()."""
    before, others = held(), set(descendants(os.getpid()))
    judge = Sandbox(slots=3, limits=LONG)
    batch = judge.submit([task(SLEEP), task(LOOP), task()])
    time.sleep(0.2)
    processes = set(descendants(os.getpid())) - others
    assert len(processes) >= 3 * 2
    judge.close()
    judge.close()
    wait_until(lambda: not any(map(alive, processes)))
    with pytest.raises(RuntimeError, match="closed"):
        batch.outcomes()
    for kind, now, then in zip(("process", "descriptor", "thread"), held(), before, strict=True):
        assert now - then == set(), kind


@linux
def test_forgotten_judge_is_closed():
    """Bug: a Sandbox that nobody closes keeps its processes until the trainer ends."""
    before = children(os.getpid())
    judge = Sandbox(slots=1, limits=LIMITS)
    assert judge.run([task()])[0].passed == 1
    del judge
    wait_until(lambda: children(os.getpid()) == before)


@linux
def test_killed_trainer_takes_its_programs_along():
    """Bug: when the trainer is killed, judges, zygotes and running programs stay behind: one that computes in one
    slot, one that sleeps in the other."""
    code = (
        "import sys\nfrom sandbox import *\n"
        "limits = Limits(**dict.fromkeys(['test_cpu_seconds', 'test_wall_seconds'], 60.0))\n"
        "judge = Sandbox(2, limits)\nprint('up', flush=True)\n"
        "program = 'import time\\ndef f(x):\\n    '\n"
        f"judge.run([Task(program + body, ('assert f(1)',), 'f') for body in ({LOOP!r}, {SLEEP!r})])\n"
    )
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    trainer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    assert trainer.stdout.readline() == "up\n"
    time.sleep(0.3)
    processes = descendants(trainer.pid)
    assert len(processes) >= 2 * 3  # judge, zygote, program
    trainer.kill()
    trainer.wait()
    trainer.stdout.close()
    wait_until(lambda: not any(map(alive, processes)))


@linux
def test_trainer_that_holds_much_is_not_copied():
    """Bug: the trainer forks itself, which costs time and memory in proportion to what it holds."""
    seen = []
    os.register_at_fork(before=lambda: seen.append(1))
    with Sandbox(slots=1, limits=LIMITS) as judge:
        judge.run([task()])
        os.kill(judge_pids(judge)[0], signal.SIGKILL)
        judge.run([task("return x")])
    assert not seen


def test_never_imports_torch():
    """Bug: the package (and so perhaps a zygote) drags in torch or other parts of the project."""
    code = (
        "import sys, sandbox\n"
        "bad = {'torch', 'numpy', 'rl', 'rewards', 'data', 'experiments'} & set(sys.modules)\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ, PYTHONPATH=str(ROOT)))
    # In the zygote and its children there is only what they imported themselves, and nothing of ours.
    program = (
        "import sys\ndef f(x): return {n for n in sys.modules if n.split('.')[0] in ('torch', 'numpy', 'sandbox')}\n"
    )
    with Sandbox(slots=1) as judge:
        assert judge.run([Task(program, ("assert f(1) == set()",), "f")])[0].stage == Stage.PASSED


@linux
def test_memory_and_descriptors_do_not_grow():
    """Bug: each program leaves a descriptor, a zombie or a piece of memory in its judge or zygote."""

    def state(pids):
        resident = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
        return [len(os.listdir(f"/proc/{pid}/fd")) for pid in pids], resident

    bodies = ["return {i}", "os._exit({i})", "raise ValueError({i})", "import ctypes; ctypes.string_at({i})"]
    with Sandbox(slots=1, limits=LIMITS) as judge:
        pids = [judge_pids(judge)[0], *descendants(judge_pids(judge)[0])]
        judge.run([task(body.format(i=i)) for i in range(20) for body in bodies])
        files, resident = state(pids)
        judge.run([task(body.format(i=i)) for i in range(20, 120) for body in bodies])
        assert [judge_pids(judge)[0], *descendants(judge_pids(judge)[0])] == pids
        files_after, resident_after = state(pids)
    assert files_after == files
    assert all(after <= before + 128 for before, after in zip(resident, resident_after, strict=True))  # pages
