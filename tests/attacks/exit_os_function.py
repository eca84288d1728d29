# Tries: End the process with status 0 in the middle of a test.
# Family: exit
# Mode: tests
# Earns: RUNS 0

import os


def f(x):
    os._exit(0)
