"""Runs untrusted programs against tests and says how far each came.

    caller (pool.py)              --jobs, JSON on a pipe-->       zygote (zygote.py)
    zygote                        --fork-->                       child (confine.py, then harness.py)
    child                         --records, with a nonce-->      zygote
    zygote                        --report, JSON on a pipe-->     caller (judge in outcome.py) -> Outcome

Trust: a child is never believed for more than the records it sent in time; the zygote folds them into a
report; only `judge` makes an Outcome. Each file says what it covers and what it does not. Standard library
only; never torch.
"""

from sandbox.outcome import Job, Limits, Outcome, Stage
from sandbox.pool import Sandbox

__all__ = ["Job", "Limits", "Outcome", "Sandbox", "Stage"]
