# Tries: Kill the parent process.
# Family: process
# Mode: tests
# Earns: OUTPUT 0

import posix

posix.kill(posix.getppid(), 9)


def f(x):
    posix.kill(posix.getppid(), 9)
    return 0
