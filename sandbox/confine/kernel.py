"""Calls to the kernel that Python has no function for, by ctypes; system call numbers for two architectures.

Covered: a refused call is an OSError that names the call, never a number to be forgotten.
Not covered: other architectures and other kernels; there `machine()` is "", and the layers that need a number are
off. Importing this file calls nothing, so that it can be imported anywhere.
"""

import ctypes
import errno
import functools
import os
import struct
import sys
from collections.abc import Callable
from typing import NoReturn

# Name: numbers on x86_64 and aarch64, from the kernel's tables; None where a machine lacks the call.
# The newer machine has no `open` or `fork`, only their general forms.
# fmt: off
SYSCALLS: dict[str, tuple[int, int | None]] = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "pwrite64": (18, 68), "preadv": (295, 69), "pwritev": (296, 70), "close": (3, 57), "lseek": (8, 62),
    "fstat": (5, 80), "stat": (4, None), "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291),
    "statfs": (137, 43), "fstatfs": (138, 44), "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439),
    "readlink": (89, None), "readlinkat": (267, 78), "getdents": (78, None), "getdents64": (217, 61),
    "open": (2, None), "openat": (257, 56), "getcwd": (79, 17), "chdir": (80, 49), "umask": (95, 166),
    "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24), "pipe": (22, None), "pipe2": (293, 59),
    "select": (23, None), "pselect6": (270, 72), "poll": (7, None), "ppoll": (271, 73), "epoll_create": (213, None),
    "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None), "epoll_pwait": (281, 22),
    "epoll_pwait2": (441, 441), "eventfd": (284, None), "eventfd2": (290, 19), "recvfrom": (45, 207),
    "shutdown": (48, 210), "getsockopt": (55, 209), "getsockname": (51, 204), "getpeername": (52, 205),
    "fsync": (74, 82), "fdatasync": (75, 83), "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215),
    "mremap": (25, 216), "madvise": (28, 233), "brk": (12, 214), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "rt_sigpending": (127, 136), "rt_sigsuspend": (130, 133),
    "rt_sigtimedwait": (128, 137), "sigaltstack": (131, 132), "pause": (34, None), "restart_syscall": (219, 128),
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153), "getitimer": (36, 102),
    "setitimer": (38, 103), "alarm": (37, None), "getrusage": (98, 165), "getpid": (39, 172), "getppid": (110, 173),
    "gettid": (186, 178), "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177),
    "getresuid": (118, 148), "getresgid": (120, 150), "getgroups": (115, 158), "getpgrp": (111, None),
    "getpgid": (121, 155), "getsid": (124, 156), "uname": (63, 160), "sysinfo": (99, 179), "getrlimit": (97, 163),
    "getpriority": (140, 141), "getrandom": (318, 278), "futex": (202, 98), "set_robust_list": (273, 99),
    "get_robust_list": (274, 100), "set_tid_address": (218, 96), "rseq": (334, 293), "membarrier": (324, 283),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120), "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126),
    "getcpu": (309, 168), "wait4": (61, 260), "waitid": (247, 95), "exit": (60, 93), "exit_group": (231, 94),
    "clone": (56, 220), "clone3": (435, 435), "fcntl": (72, 25), "ioctl": (16, 29), "prctl": (157, 167),
    "prlimit64": (302, 261), "sendto": (44, 206), "socketpair": (53, 199), "kill": (62, 129), "tgkill": (234, 131),
    "tkill": (200, 130), "capget": (125, 90), "capset": (126, 91), "pivot_root": (155, 41),
    "mount_setattr": (442, 442), "landlock_create_ruleset": (444, 444), "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}
# fmt: on
_MACHINES = ("x86_64", "aarch64")

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38

_libc = ctypes.CDLL(None, use_errno=True)


@functools.cache
def machine() -> str:
    """The machine: "x86_64" or "aarch64"; "" when this is not Linux on one of them, with 64-bit programs."""
    name = os.uname().machine
    return name if sys.platform == "linux" and name in _MACHINES and struct.calcsize("P") == 8 else ""


def number(name: str, on: str) -> int | None:
    """The number of a system call on a machine that `machine()` names; None when it has no such call."""
    return SYSCALLS[name][_MACHINES.index(on)]


def call(function: str, *arguments: object) -> int:
    """Call a function of the C library. Integers travel as `long`. Raises OSError that names the function."""
    return prepared(function, *arguments)()


def syscall(name: str, *arguments: object) -> int:
    """The same for a system call without such a function. Raises OSError also where its number is not known."""
    return prepared_syscall(name, *arguments)()


def prepared(function: str, *arguments: object) -> Callable[[], int]:
    """The call, all ready to be made.

    For a child just forked: each object that it makes or touches is a page to be copied, and putting the arguments
    of one call into the C library's form takes ten times as long there as the call.
    """
    target, wide = getattr(_libc, function, None), _wide(arguments)
    return functools.partial(_refuse, function) if target is None else lambda: _check(function, target(*wide))


def prepared_syscall(name: str, *arguments: object) -> Callable[[], int]:
    """The same for a system call."""
    if not machine():
        return functools.partial(_refuse, name)
    target, wide = _libc.syscall, _wide((number(name, machine()), *arguments))
    return lambda: _check(name, target(*wide))


def _refuse(name: str) -> NoReturn:
    raise OSError(errno.ENOSYS, f"{name}: not known on {sys.platform} {os.uname().machine}")


def use_one_arena() -> None:
    """Let all threads allocate from one place, where the C library is glibc (others do so anyway).

    Otherwise each of the first threads, up to eight a core, reserves 64 MiB of address space for itself.
    """
    if hasattr(_libc, "mallopt"):
        m_arena_max = -8
        _libc.mallopt(m_arena_max, 1)


def _wide(arguments: tuple) -> list:
    # Without its type an integer would be passed as a 32-bit one.
    return [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]


def _check(name: str, result: int) -> int:
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result
