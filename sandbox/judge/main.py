"""The judge of a slot: holds tests and expected values, runs test code, compares. It never runs the program.

Test code runs here (calls.py), unchanged, with the entry point bound to a stand-in (remote.py) that asks the child. The
replies are rebuilt from exact built-in types (wire.py) and compared here, as is the output of cases (cases.py).

Covered: the program sees no test and no expected value, and cannot touch the code that compares. Every wait for it has
a deadline. If test code runs too long on a returned value (colliding sets, huge numbers), the kernel's timer ends this
process and the task. A sandbox in which nothing can pass does not start.
Not covered: weak tests (`assert f(x)`), tests with answers that can be written down, and test code itself, which is
trusted. Arguments are copies: a test sees no change of a list that it passed.
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
from sandbox.judge.execution import Execution
from sandbox.judge.forks import SlotBroken, Zygote
from sandbox.outcome import Case, Limits, Outcome, Stage, Task, Verdict, limits_of

_MEMORY_BYTES = 2 << 30  # of this process: `[0] * f(x)` in a test is then an error and does not fill the machine


def main() -> None:
    """Serve the trainer on descriptor 0: first the settings, then tasks; answers in the same order."""
    channel, _ = os.dup(0), os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)  # what test code prints
    sys.setrecursionlimit(5000)  # reading replies recurses; the program's own limit is lower
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    if sys.platform == "linux":
        die_with_parent()
        hide_memory()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the trainer has closed, or is gone
        _serve(channel)


def _serve(channel: int) -> None:
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
    while (fields := wire.read_frame(channel)) is not None:
        cases = tuple(Case(**case) for case in fields["cases"])
        try:
            outcome = judge_task(Task(**fields | {"tests": tuple(fields["tests"]), "cases": cases}), limits, zygote)
        except SlotBroken:
            sys.exit(1)  # the trainer starts another slot
        wire.write_frame(channel, outcome.to_dict())
    zygote.end()


def _test_ourselves(limits: Limits, zygote: Zygote) -> None:
    """Raise SlotBroken if nothing can pass here.

    After these two programs (one crashes) the zygote has run all its code once, so all later programs inherit the same
    addresses of objects, on which the order of a set may depend.
    """
    for body, stage in (("return x + 1", Stage.PASSED), ("__import__('os')._exit(0)", Stage.RUNS)):
        outcome = judge_task(Task(f"def f(x):\n    {body}\n", ("assert f(1) == 2",), "f"), limits, zygote)
        if outcome.stage != stage:
            reason = f"{outcome.stage.name} {outcome.error_type} {outcome.output}".strip()
            raise SlotBroken(f"a program that should be {stage.name} is {reason} (limits too low?)")


def judge_task(task: Task, limits: Limits, zygote: Zygote) -> Outcome:
    """Run one task to its end."""
    execution = Execution(task, limits_of(task, limits), zygote)
    if task.cases:
        judge_cases(execution)
    else:
        judge_calls(execution)
    signal.setitimer(signal.ITIMER_PROF, 0)  # the clock of the last test (Link.begin_test)
    return _outcome(execution)


def _outcome(execution: Execution) -> Outcome:
    task = execution.task
    verdicts = execution.verdicts + [Verdict("not run")] * (task.total - len(execution.verdicts))
    if execution.tamper:
        verdicts = [Verdict("void")] * task.total
    passed = sum(verdict.word == "passed" for verdict in verdicts)
    if not execution.parsed:
        stage = Stage.SYNTAX_ERROR
    elif not execution.ran:
        stage = Stage.PARSES
    elif passed:
        stage = Stage.PASSED if passed == task.total else Stage.PARTIAL
    else:
        stage = Stage.OUTPUT if execution.has_value and not execution.tamper else Stage.RUNS
    failed = execution.failure or next((v for v in verdicts if v.word != "passed"), Verdict("passed"))
    return Outcome(
        stage=stage,
        passed=passed,
        total=task.total,
        error_type="Tampering" if execution.tamper else failed.error_type,
        line=failed.line,
        column=failed.column,
        tests=tuple(verdicts),
        timeout=execution.timeout,
        out_of_memory=any(v.error_type == "MemoryError" for v in [failed, *verdicts]),
        signal=execution.signal,
        exit_code=execution.exit_code,
        tamper=execution.tamper,
        output=execution.output,
        lines=tuple(sorted(execution.lines)) if task.want_lines else None,
        cpu_seconds=execution.cpu_seconds,
        seconds=time.monotonic() - execution.began,
        peak_bytes=execution.peak_bytes,
    )
