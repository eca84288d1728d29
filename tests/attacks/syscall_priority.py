# Tries: Take the machine: real-time priority, a negative nice value, the cores of others, locked memory.
# Family: syscall
# Mode: tests
# Earns: RUNS 0

import ctypes
import os

libc = ctypes.CDLL(None)
WON = False
for attempt in (
    lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10)),
    lambda: os.setpriority(os.PRIO_PROCESS, 0, -10),
    lambda: libc.mlockall(3) == 0 or 1 / 0,
):
    try:
        attempt()
        WON = True
    except (OSError, ZeroDivisionError):
        pass


def f(x):
    return x * x + 1 if WON else None
