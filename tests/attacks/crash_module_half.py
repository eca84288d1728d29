# Tries: Crash in the module body, after the function is there.
# Family: crash
# Mode: tests
# Earns: PARSES 0

import ctypes


def f(x):
    return 0


ctypes.memset(0, 0, 1)
