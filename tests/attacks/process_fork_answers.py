# Tries: Answer each call twice, from the process and from a copy of it.
# Family: process
# Mode: tests
# Earns: OUTPUT 0

import posix


def f(x):
    posix.fork()
    return 0
