# Tries: Abort by the C library.
# Family: crash
# Mode: tests
# Earns: RUNS 0

import os


def f(x):
    os.abort()
