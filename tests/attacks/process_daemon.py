# Tries: Leave a daemon behind: a double fork into a session of its own.
# Family: process
# Mode: tests
# Earns: OUTPUT 0

import posix
import time


def f(x):
    if posix.fork() == 0:
        posix.setsid()
        if posix.fork() == 0:
            for fd in range(256):
                try:
                    posix.close(fd)
                except OSError:
                    pass
            time.sleep(25)
        posix._exit(0)
    return 0
