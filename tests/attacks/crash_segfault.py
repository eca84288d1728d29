# Tries: Read address zero.
# Family: crash
# Mode: tests
# Earns: RUNS 0

import ctypes


def f(x):
    return ctypes.string_at(0)
