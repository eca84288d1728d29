# Tries: Replace the process by a fresh Python that holds the inherited descriptors.
# Family: process
# Mode: tests
# Earns: RUNS 0

import os
import sys


def f(x):
    for fd in range(3, 256):
        try:
            os.set_inheritable(fd, True)
        except OSError:
            pass
    os.execv(sys.executable, [sys.executable, "-c", "import os; os._exit(0)"])
