"""Kernel calls that Python has no function for, by ctypes, on two architectures.

Covered: a refused call raises an OSError that names the call.
Not covered: other architectures and kernels. There `machine()` is "", and layers that call by number are off.
"""

import ctypes
import errno
import functools
import os
import struct
import sys
from collections.abc import Callable

MACHINES = ("x86_64", "aarch64")
# The calls that we make by number, on each of MACHINES.
_NUMBERS = {
    "capset": (126, 91),
    "pivot_root": (155, 41),
    "mount_setattr": (442, 442),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP = 1, 4, 22
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38

_HIGHEST_FD = 1 << 16  # the zygote has no descriptor above

_libc = ctypes.CDLL(None, use_errno=True)


@functools.cache
def machine() -> str:
    """The machine, one of MACHINES; "" when this is not Linux on one of them, with 64-bit programs."""
    name = os.uname().machine
    return name if sys.platform == "linux" and name in MACHINES and struct.calcsize("P") == 8 else ""


def call(name: str, *arguments: object) -> int:
    """Call a function of the C library, or make a system call. Raises OSError that names it."""
    return prepared(name, *arguments)()


def prepared(name: str, *arguments: object) -> Callable[[], int]:
    """The same, to be called later in a child, where converting the arguments takes ten times as long as the call
    (pages to copy).
    """
    if name in _NUMBERS:
        target = _libc.syscall if machine() else None
        arguments = (_NUMBERS[name][MACHINES.index(machine() or MACHINES[0])], *arguments)
    else:
        target = getattr(_libc, name, None)
    # ctypes passes a plain integer as 32 bits.
    wide = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]

    def make_call() -> int:
        if target is None:
            raise OSError(errno.ENOSYS, f"{name}: not known on {sys.platform} {os.uname().machine}")
        result = target(*wide)
        if result == -1:
            code = ctypes.get_errno()
            raise OSError(code, f"{name}: {os.strerror(code)}")
        return result

    return make_call


def close_others(kept: set[int]) -> None:
    """Close all descriptors but these."""
    first = 0
    for stays in (*sorted(kept), _HIGHEST_FD):
        if first < stays:  # given an empty range, Python 3.11 closes all from `first` on
            os.closerange(first, stays)
        first = stays + 1
