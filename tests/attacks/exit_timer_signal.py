# Tries: Handlers for all signals and a timer that end the process with status 0.
# Family: exit
# Mode: tests
# Earns: RUNS 0

import os
import signal

for number in range(1, 32):
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, lambda *details: os._exit(0))
signal.setitimer(signal.ITIMER_REAL, 0.05)


def f(x):
    while True:
        pass
