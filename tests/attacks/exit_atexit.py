# Tries: Turn any exit status into 0 from an atexit handler.
# Family: exit
# Mode: tests
# Earns: RUNS 0

import atexit
import os

atexit.register(os._exit, 0)


def f(x):
    raise ValueError(x)
