# Tries: Open the parent's memory for writing; the right answer if that works.
# Family: files
# Mode: tests
# Earns: RUNS 0

import io
import os

try:
    io.open(f"/proc/{os.getppid()}/mem", "r+b", buffering=0).close()
    WON = True
except OSError:
    WON = False


def f(x):
    return x * x + 1 if WON else None
