# Tries: Sleep for ever, which costs no CPU time.
# Family: hang
# Mode: tests
# Earns: RUNS 0

import time


def f(x):
    time.sleep(25)
