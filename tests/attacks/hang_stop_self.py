# Tries: Stop the own process.
# Family: hang
# Mode: tests
# Earns: RUNS 0

import os
import signal


def f(x):
    signal.raise_signal(signal.SIGSTOP)
    import posix

    posix.kill(os.getpid(), signal.SIGSTOP)
