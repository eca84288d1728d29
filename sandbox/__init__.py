"""Runs untrusted programs against tests and reports how far each came.

    trainer (pool.py)  --tasks-->    judge (judge/)  --fork a child-->  zygote (child/zygote.py, confine/)
                       <-outcomes--     |    ^                             |
                                        v    |  calls, replies (wire.py)   | fork
                                      child (child/program.py)  <----------+

    from sandbox import Sandbox, Limits, Task

    with Sandbox(slots=2, limits=Limits(test_cpu_seconds=1.0)) as sandbox:
        for outcome in sandbox.run([Task(program, tests=("assert f(1) == 2",), entry_point="f")]):
            print(outcome.stage.name, outcome.passed, outcome.total)

Trust: the judge holds the tests and compares; the child holds the program and answers calls; the zygote holds neither.
A test passes only by a value that the judge has compared itself. Standard library only. More in docs/sandbox.md.
"""

from sandbox.outcome import Case, Limits, Outcome, Stage, Task, Verdict
from sandbox.pool import Sandbox, WeakSandbox
from sandbox.wire import read_value

__all__ = ["Case", "Limits", "Outcome", "Sandbox", "Stage", "Task", "Verdict", "WeakSandbox", "read_value"]
