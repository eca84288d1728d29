# Tries: Recurse in C: a deeply nested list, compared, copied, printed and thrown away.
# Family: crash
# Mode: tests
# Earns: RUNS 0

import copy
import sys

sys.setrecursionlimit(10**9)


def f(x):
    nest = []
    for _ in range(1000000):
        nest = [nest]
    return len(repr(nest)) + len(copy.deepcopy(nest))
