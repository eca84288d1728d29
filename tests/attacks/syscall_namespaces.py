# Tries: Make namespaces of its own, in which it would be root; the right answer if that works.
# Family: syscall
# Mode: tests
# Earns: RUNS 0

import ctypes

libc = ctypes.CDLL(None)
WON = any(libc.unshare(flag) == 0 for flag in (0x10000000, 0x40000000, 0x00020000, 0x08000000))


def f(x):
    return x * x + 1 if WON else None
