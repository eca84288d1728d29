# Tries: Try a signal on each low process id by every system call that can send one.
# Family: process
# Mode: tests
# Earns: OUTPUT 0

import ctypes
import posix

libc = ctypes.CDLL(None)


def f(x):
    for pid in range(1, 60):
        if pid != posix.getpid():
            libc.kill(pid, 15)
            libc.syscall(200, pid, 15)  # tkill
            libc.syscall(234, pid, pid, 15)  # tgkill
    return 0
