# Tries: Stop the parent for a while, so that it can neither judge nor time out.
# Family: process
# Mode: tests
# Earns: OUTPUT 0

import posix
import signal


def f(x):
    if posix.getppid() > 1:
        posix.kill(posix.getppid(), signal.SIGSTOP)
    return 0
