# Tries: End by signals that have no name.
# Family: crash
# Mode: tests
# Earns: RUNS 0

import os
import signal


def f(x):
    os.kill(os.getpid(), signal.SIGRTMIN + 3)
    signal.pthread_kill(__import__("threading").get_ident(), signal.SIGRTMAX)
    import ctypes

    ctypes.CDLL(None).abort()
