# Tries: Turn an uncaught exception into status 0.
# Family: exit
# Mode: tests
# Earns: RUNS 0

import os
import sys
import threading

sys.excepthook = lambda *details: os._exit(0)
sys.unraisablehook = lambda *details: os._exit(0)
threading.excepthook = lambda *details: os._exit(0)


def f(x):
    raise ValueError(x)
