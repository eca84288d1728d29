# Tries: Raise the own limits or those of the parent; the right answer if one of them gives way.
# Family: process
# Mode: tests
# Earns: RUNS 0

import ctypes
import posix

libc = ctypes.CDLL(None)
wide = (ctypes.c_uint64 * 2)(1 << 40, 1 << 40)
now = (ctypes.c_uint64 * 2)()
WON = False
for kind in (0, 1, 7, 9):  # CPU, FSIZE, NOFILE, AS
    unlimited = (1 << 64) - 1
    libc.prlimit(0, kind, None, now)
    WON |= now[1] == unlimited and kind != 0  # no limit at all
    if now[1] != unlimited:
        WON |= libc.prlimit(0, kind, wide, None) == 0
    if posix.getppid():
        old = (ctypes.c_uint64 * 2)()
        WON |= libc.prlimit(posix.getppid(), kind, None, old) == 0 and libc.prlimit(posix.getppid(), kind, old, None) == 0


def f(x):
    return x * x + 1 if WON else None
