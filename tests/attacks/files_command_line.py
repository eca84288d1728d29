# Tries: Read other processes' command lines; the right answer if there is any.
# Family: files
# Mode: tests
# Earns: RUNS 0

import os

try:
    pids = [name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
except OSError:
    pids = []


def f(x):
    return x * x + 1 if pids else None
