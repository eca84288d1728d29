# Tries: Overwrite the interpreter's objects at random: type slots, None, the table of modules.
# Family: crash
# Mode: tests
# Earns: RUNS 0

import ctypes
import sys


def f(x):
    for thing in (None, int, sys.modules, f, x):
        ctypes.memset(id(thing) + 8, 0x41, 64)
