# Tries: Open a thousand descriptors; the right answer if there are as many.
# Family: files
# Mode: tests
# Earns: RUNS 0

import os

try:
    for _ in range(1000):
        os.dup(0)
    WON = True
except OSError:
    WON = False


def f(x):
    return x * x + 1 if WON else None
