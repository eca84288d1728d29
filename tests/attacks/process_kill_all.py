# Tries: Kill every process that may be killed.
# Family: process
# Mode: tests
# Earns: OUTPUT 0

import posix


def f(x):
    posix.kill(-1, 9)
    return 0
