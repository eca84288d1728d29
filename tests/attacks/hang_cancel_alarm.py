# Tries: Cancel the judge's timer and work for 1.2 s in each call, above the limit of 1 s; then answer right.
# Family: hang
# Mode: tests
# Earns: RUNS 0

import signal
import time


def f(x):
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    end = time.process_time() + 1.2
    while time.process_time() < end:
        pass
    return x * x + 1
