# Tries: Lock a shared library file, which another program could notice: a channel between two of them.
# Family: files
# Mode: tests
# Earns: RUNS 0

import fcntl
import os

WON = False
for path in ("/usr/lib", "/lib", "/dev/null", os.__file__):
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        continue
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        WON = True
    except OSError:
        pass


def f(x):
    return x * x + 1 if WON else None
