"""Runs untrusted programs against tests and says how far each came.

    trainer (pool.py)  --tasks-->    judge (judge.py, remote.py)    --fork me one-->  zygote (zygote.py, layers.py)
                       <-outcomes--         |    ^                                       |
                                            v    |  calls, replies (wire.py)             | fork
                                          child (child.py)  <----------------------------+

    from sandbox import Sandbox, Limits, Task

    with Sandbox(slots=2, limits=Limits(test_cpu_seconds=1.0)) as judge:
        for outcome in judge.run([Task(program, tests=("assert f(1) == 2",), entry_point="f")]):
            print(outcome.stage.name, outcome.passed, outcome.total)

Trust: the judge holds the tests and compares; the child holds the program and answers calls; the zygote, between them,
holds nothing. A test passes only by a value that the judge has compared itself. Each file says what it covers and what
it does not. Standard library only; never torch. The whole story: docs/sandbox.md.
"""

from sandbox.outcome import Case, Limits, Outcome, Stage, Task, Verdict
from sandbox.pool import Sandbox, Submission, WeakSandbox
from sandbox.wire import read_value

__all__ = [
    "Submission",
    "Case",
    "Sandbox",
    "Limits",
    "Outcome",
    "Stage",
    "Task",
    "Verdict",
    "WeakSandbox",
    "read_value",
]
