# Tries: Become root or gain a capability; the right answer if it has or gets one.
# Family: syscall
# Mode: tests
# Earns: RUNS 0

import ctypes
import os

header = (ctypes.c_uint32 * 2)(0x20080522, 0)
data = (ctypes.c_uint32 * 6)()
ctypes.CDLL(None).capget(header, data)
WON = any(data[i] for i in (0, 1, 3, 4))
for attempt in (lambda: os.setresuid(0, 0, 0), lambda: os.chroot("/"), lambda: os.setgroups([])):
    try:
        attempt()
        WON = WON or os.geteuid() == 0
    except (OSError, TypeError):
        pass


def f(x):
    return x * x + 1 if WON else None
