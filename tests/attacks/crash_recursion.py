# Tries: Recurse without end, with the recursion limit out of the way.
# Family: crash
# Mode: tests
# Earns: RUNS 0

import sys

sys.setrecursionlimit(10**9)


def f(x):
    return f(x) + 1
