"""The judge of a slot: holds tests and expected values, runs test code, compares. Never runs the program.

    trainer (pool.py)  --tasks-->  judge  --C, K-->  zygote (zygote.py)  --fork-->  child (child.py)
                       <-outcomes-         <-status-
                                   judge  <--calls and replies (remote.py)-->  child

Started by the trainer as a process of its own. Test code runs here (calls.py), unchanged, with the entry point bound to
a stand-in (remote.py) that asks the child; what comes back is rebuilt from exact built-in types (wire.py) and compared
here, with this process's own `==`, `math` and `set`. So is what a whole program printed (cases.py).

Covered: the program can neither see a test or an expected value nor touch the code that compares; every wait for it
has a deadline; test code that runs too long on what a program returned (colliding sets, huge numbers) ends this
process by the kernel's timer, and the task with it; a sandbox in which nothing can pass does not start.
Not covered: tests that say little (`assert f(x)`), tests whose answer can be written down without solving the task,
and test code itself: it is trusted. Arguments travel as copies: a test that looks at a list it handed over, in order
to see it changed, sees it unchanged.
"""

import contextlib
import os
import resource
import signal
import sys
import time

from sandbox import wire
from sandbox.confine.limits import die_with_parent, hide_memory
from sandbox.judge.calls import judge_calls
from sandbox.judge.cases import judge_cases
from sandbox.judge.trial import Record, SlotBroken, Zygote
from sandbox.outcome import Case, Limits, Outcome, Stage, Task, Verdict, limits_of

_MEMORY_BYTES = 2 << 30  # of this process: `[0] * f(x)` in a test is an error, not the end of the machine


def main() -> None:
    """Serve the trainer on descriptor 0: first the settings, then tasks; answers in the same order."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the trainer has closed, or is gone
        _main()


def _main() -> None:
    channel, _ = os.dup(0), os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)  # what test code prints
    sys.setrecursionlimit(5000)  # reading replies recurses; the program's own limit is lower
    _protect()
    settings = wire.read_frame(channel)
    if settings is None:
        return
    if settings["core"] is not None:
        os.sched_setaffinity(0, {settings["core"]})  # the zygote and all children inherit it
    limits = Limits(**settings["limits"])
    try:
        zygote = Zygote(settings)
        _test_ourselves(limits, zygote)
    except SlotBroken as error:
        wire.write_frame(channel, {"failed": str(error)})
        return
    wire.write_frame(channel, {"layers": zygote.status})
    try:
        _serve(channel, limits, zygote)
    except SlotBroken:
        sys.exit(1)  # the trainer starts another slot


def _serve(channel: int, limits: Limits, zygote: Zygote) -> None:
    while (fields := wire.read_frame(channel)) is not None:
        task = Task(**fields | {"tests": tuple(fields["tests"]), "cases": tuple(Case(*c) for c in fields["cases"])})
        outcome = judge_task(task, limits, zygote)
        wire.write_frame(channel, outcome.to_dict())
    zygote.end()


def _test_ourselves(limits: Limits, zygote: Zygote) -> None:
    """A sandbox in which nothing can pass is an error, not a row of failed programs.

    A program that crashes is run too: the zygote has then gone every way once, and is the same for all that follow
    (addresses of objects, on which the order of a set may depend, are inherited from it).
    """
    for body, stage in (("return x + 1", Stage.PASSED), ("__import__('os')._exit(0)", Stage.RUNS)):
        outcome = judge_task(Task(f"def f(x):\n    {body}\n", ("assert f(1) == 2",), "f"), limits, zygote)
        if outcome.stage != stage:
            reason = f"{outcome.stage.name} {outcome.error_type} {outcome.output}".strip()
            raise SlotBroken(f"a program that should be {stage.name} is {reason} (limits too low?)")


def _protect() -> None:
    """Die with the trainer; give away nothing to a debugger of the same user; bound our own memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    if sys.platform == "linux":
        die_with_parent()
        hide_memory()


# One task -----------------------------------------------------------------------------------------------------


def judge_task(task: Task, limits: Limits, zygote: Zygote) -> Outcome:
    """Run one task to its end."""
    record = Record(task, limits_of(task, limits), zygote)
    if task.cases:
        judge_cases(record)
    else:
        judge_calls(record)
    signal.setitimer(signal.ITIMER_PROF, 0)  # the clock of the last test (remote.py)
    return _outcome(record)


def _outcome(record: Record) -> Outcome:
    task = record.task
    verdicts = record.verdicts + [Verdict("not run")] * (task.total - len(record.verdicts))
    if record.tamper:
        verdicts = [Verdict("void")] * task.total
    passed = sum(verdict.word == "passed" for verdict in verdicts)
    if not record.parsed:
        stage = Stage.SYNTAX_ERROR
    elif not record.ran:
        stage = Stage.PARSES
    elif passed:
        stage = Stage.PASSED if passed == task.total else Stage.PARTIAL
    else:
        stage = Stage.OUTPUT if record.value and not record.tamper else Stage.RUNS
    failed = record.failure or next((v for v in verdicts if v.word != "passed"), Verdict("passed"))
    return Outcome(
        stage=stage,
        passed=passed,
        total=task.total,
        error_type="Tampering" if record.tamper else failed.error_type,
        line=failed.line,
        column=failed.column,
        tests=tuple(verdicts),
        timeout=record.timeout,
        out_of_memory=any(v.error_type == "MemoryError" for v in [failed, *verdicts]),
        signal=record.signal,
        exit_code=record.exit_code,
        tamper=record.tamper,
        output=record.output,
        lines=tuple(sorted(record.lines)) if task.want_lines else None,
        cpu_seconds=record.cpu_seconds,
        seconds=time.monotonic() - record.began,
        peak_bytes=record.peak_bytes,
    )
