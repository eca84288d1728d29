# Tries: Leave a program behind that another program was started for.
# Family: process
# Mode: tests
# Earns: OUTPUT 0

import _posixsubprocess
import posix


def f(x):
    try:
        posix.posix_spawn("/bin/sleep", ["sleep", "25"], {})
    except AttributeError:
        pass
    return 0
