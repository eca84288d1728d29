# Tries: Reach read-only pages of the own process through /proc/self/mem; the right answer if it can be opened.
# Family: files
# Mode: tests
# Earns: RUNS 0

import io

try:
    io.open("/proc/self/mem", "r+b", buffering=0).close()
    WON = True
except OSError:
    WON = False


def f(x):
    return x * x + 1 if WON else None
