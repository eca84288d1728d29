# Tries: Attach to the parent as a debugger, or reach its memory; the right answer if that works.
# Family: process
# Mode: tests
# Earns: RUNS 0

import ctypes
import posix

libc = ctypes.CDLL(None)
PPID = posix.getppid()
buffer = ctypes.create_string_buffer(8)
vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
remote = (ctypes.c_void_p * 2)(id(0), 8)
read = libc.process_vm_readv(PPID, vector, 1, remote, 1, 0) > 0 if PPID else False
seized = libc.ptrace(0x4206, PPID, 0, 0) == 0 if PPID else False  # PTRACE_SEIZE: does not stop it
WON = read or seized


def f(x):
    return x * x + 1 if WON else None
