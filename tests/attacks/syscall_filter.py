# Tries: Install a filter with a listener of its own, to answer system calls in the kernel's place.
# Family: syscall
# Mode: tests
# Earns: RUNS 0

import ctypes


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


allow = (ctypes.c_uint64 * 1)(0x7FFF000000000006)
program = Program(1, ctypes.addressof(allow))
libc = ctypes.CDLL(None)
libc.prctl(38, 1, 0, 0, 0)
WON = libc.syscall(317, 1, 8, ctypes.byref(program)) >= 0  # SECCOMP_FILTER_FLAG_NEW_LISTENER


def f(x):
    return x * x + 1 if WON else None
