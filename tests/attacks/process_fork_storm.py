# Tries: Start sixty processes that sleep.
# Family: process
# Mode: tests
# Earns: RUNS 0

import posix
import time

for _ in range(60):
    if posix.fork() == 0:
        time.sleep(20)
        posix._exit(0)


def f(x):
    time.sleep(20)
