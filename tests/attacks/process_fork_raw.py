# Tries: Fork by the bare system calls, fork, vfork-less clone and clone3; the right answer if one of them works.
# Family: process
# Mode: tests
# Earns: RUNS 0

import ctypes
import posix

syscall = ctypes.CDLL(None).syscall


def forked():
    for number, *arguments in ((57,), (56, 17, 0, 0, 0, 0), (435, ctypes.create_string_buffer(64), 64)):
        pid = syscall(number, *arguments)
        if pid == 0:
            posix._exit(0)
        if pid > 0:
            return True
    return False


WON = forked()


def f(x):
    return x * x + 1 if WON else None
