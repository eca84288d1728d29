# Tries: Wait for input that never comes.
# Family: hang
# Mode: tests
# Earns: RUNS 0

import sys


def f(x):
    return sys.stdin.read() + input()
