# Tries: Make an anonymous file, which no directory and no quota knows; the right answer if that works.
# Family: files
# Mode: tests
# Earns: RUNS 0

import os

try:
    os.close(os.memfd_create("attack"))
    WON = True
except OSError:
    WON = False


def f(x):
    return x * x + 1 if WON else None
