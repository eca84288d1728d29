# Tries: Cancel the judge's timer and sleep for 2.5 s in each call, then answer right.
# Family: hang
# Mode: tests
# Earns: RUNS 0

import signal
import time


def f(x):
    signal.setitimer(signal.ITIMER_REAL, 0)
    time.sleep(2.5)
    return x * x + 1
