# Tries: Leave session and group, drop the parent-death signal, ignore every signal, then sleep for ever.
# Family: process
# Mode: tests
# Earns: OUTPUT 0

import ctypes
import os
import signal
import time


def f(x):
    ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    try:
        os.setsid()
    except OSError:
        pass
    time.sleep(25)
