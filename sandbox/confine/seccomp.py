"""Seccomp: an allow-list of system calls, which the kernel runs as a classic BPF program.

Covered (tests in tests/sandbox/confine/test_layers.py): no new process or program (fork, vfork, clone without
CLONE_THREAD, exec); no socket except a pair of its own; no tracing or reading of other processes, no mounts, no
namespaces, keys, io_uring, bpf, locks or memory files, no way to undo the death signal. A call from another table
(32-bit, x32; its numbers mean other calls) kills the process. Without a PID namespace: no signals, not even to itself.
Not covered: faults in the kernel's code for the allowed calls. Threads. Memory behind a pointer (the path of `open`):
the mount namespace and Landlock cover files.
Costs 0.07 ms a program: the kernel runs the filter for some 450 calls at installation, so it is a search tree.
"""

import ctypes
import struct

from sandbox.confine import kernel

# System calls that are allowed with any arguments: the number on x86_64 and on aarch64, from the kernel's tables; None
# where the machine lacks the call (aarch64 has only the general forms of many).
# fmt: off
ALWAYS: dict[str, tuple[int, int | None]] = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67), "pwrite64": (18, 68),
    "preadv": (295, 69), "pwritev": (296, 70), "close": (3, 57), "lseek": (8, 62), "fstat": (5, 80), "stat": (4, None),
    "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291), "statfs": (137, 43), "fstatfs": (138, 44),
    "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439), "readlink": (89, None),
    "readlinkat": (267, 78), "getdents": (78, None), "getdents64": (217, 61), "open": (2, None), "openat": (257, 56),
    "getcwd": (79, 17), "chdir": (80, 49), "umask": (95, 166), "fsync": (74, 82), "fdatasync": (75, 83),
    "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24), "pipe": (22, None), "pipe2": (293, 59),
    "select": (23, None), "pselect6": (270, 72), "poll": (7, None), "ppoll": (271, 73), "epoll_create": (213, None),
    "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None), "epoll_pwait": (281, 22),
    "epoll_pwait2": (441, 441), "eventfd": (284, None), "eventfd2": (290, 19), "recvfrom": (45, 207),
    "shutdown": (48, 210), "getsockopt": (55, 209), "getsockname": (51, 204), "getpeername": (52, 205),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216), "madvise": (28, 233),
    "brk": (12, 214), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "rt_sigpending": (127, 136), "rt_sigsuspend": (130, 133), "rt_sigtimedwait": (128, 137), "sigaltstack": (131, 132),
    "pause": (34, None), "restart_syscall": (219, 128), "nanosleep": (35, 101), "clock_nanosleep": (230, 115),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "gettimeofday": (96, 169), "time": (201, None),
    "times": (100, 153), "getitimer": (36, 102), "setitimer": (38, 103), "alarm": (37, None), "getrusage": (98, 165),
    "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178), "getuid": (102, 174), "geteuid": (107, 175),
    "getgid": (104, 176), "getegid": (108, 177), "getresuid": (118, 148), "getresgid": (120, 150),
    "getgroups": (115, 158), "getpgrp": (111, None), "getpgid": (121, 155), "getsid": (124, 156), "uname": (63, 160),
    "sysinfo": (99, 179), "getrlimit": (97, 163), "getpriority": (140, 141), "getrandom": (318, 278),
    "getcpu": (309, 168), "futex": (202, 98), "set_robust_list": (273, 99), "get_robust_list": (274, 100),
    "set_tid_address": (218, 96), "rseq": (334, 293), "membarrier": (324, 283), "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123), "sched_getparam": (143, 121), "sched_getscheduler": (145, 120),
    "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126), "wait4": (61, 260), "waitid": (247, 95),
    "exit": (60, 93), "exit_group": (231, 94),
}
# fmt: on
SIGNALS = {"kill": (62, 129), "tgkill": (234, 131), "tkill": (200, 130)}

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000  # this bit in a number asks for the x32 table
_EPERM, _ENOSYS = 1, 38
_KILL_PROCESS, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
REFUSE = _ERRNO | _EPERM

# Operations of the BPF machine, each (code, jump if true, jump if false, constant); jumps count from the next one.
_LOAD, _RETURN, _EQUAL, _AT_LEAST, _ANY_BIT = 0x20, 0x06, 0x15, 0x35, 0x45
Operation = tuple[int, int, int, int]

# Offsets in the data that the kernel passes: the number, the architecture, the low half of an argument.
_NUMBER, _ARCHITECTURE = 0, 4


def _low(argument: int) -> int:
    return 16 + 8 * argument


def _result(value: int) -> Operation:
    return _RETURN, 0, 0, value


def _only_values(argument: int, allowed: tuple[int, ...]) -> list[Operation]:
    """Allow when the low half of an argument is one of these; for arguments that the kernel reads as 32 bits."""
    tests = [(_EQUAL, len(allowed) - i, 0, value) for i, value in enumerate(allowed)]
    return [(_LOAD, 0, 0, _low(argument)), *tests, _result(REFUSE), _result(_ALLOW)]


def _only_null(argument: int) -> list[Operation]:
    """Allow when a pointer is null."""
    return [
        (_LOAD, 0, 0, _low(argument)),
        (_EQUAL, 0, 2, 0),
        (_LOAD, 0, 0, _low(argument) + 4),  # the high half
        (_EQUAL, 1, 0, 0),
        _result(REFUSE),
        _result(_ALLOW),
    ]


# What the C libraries set for a thread. CLONE_THREAD brings along VM and SIGHAND; new namespaces are not among them.
_CLONE_THREAD, _THREAD_FLAGS = 0x00010000, 0x007D0F00
_ONLY_THREADS = [
    (_LOAD, 0, 0, _low(0)),
    (_ANY_BIT, 1, 0, 0xFFFFFFFF & ~_THREAD_FLAGS),
    (_ANY_BIT, 1, 0, _CLONE_THREAD),
    _result(REFUSE),
    _result(_ALLOW),
]
# System calls that are allowed with certain arguments: their numbers, as above, and the check.
CHECKED: dict[str, tuple[tuple[int, int], list[Operation]]] = {
    "clone": ((56, 220), _ONLY_THREADS),
    # The flags of clone3 lie behind a pointer. After "no such call" the C library uses clone.
    "clone3": ((435, 435), [_result(_ERRNO | _ENOSYS)]),
    "fcntl": ((72, 25), _only_values(1, (0, 1, 2, 3, 4, 1030))),  # copy, get and set flags; no locks, owners, seals
    # Is it a terminal, its size; how much there is to read; (non-)blocking; close on exec or not.
    "ioctl": ((16, 29), _only_values(1, (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451))),
    "prctl": ((157, 167), _only_values(0, (15, 16))),  # the thread's name
    "prlimit64": ((302, 261), _only_null(2)),  # read limits, set none
    "sendto": ((44, 206), _only_null(4)),  # to the connected end only
    "socketpair": ((53, 199), _only_values(0, (1,))),  # AF_UNIX: event loops wake themselves through one
}


def program(machine: str, signals: bool) -> list[Operation]:
    """The BPF program for "x86_64" or "aarch64". `signals`: kill, tkill and tgkill are allowed."""
    foreign = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        _result(_KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER),
    ]
    return foreign + _tree(_ranges(machine, signals))


def _ranges(machine: str, signals: bool) -> list[tuple[int, list[Operation]]]:
    """All call numbers as ranges (first number, action), in order; neighbours with the same action are one range."""
    column = kernel.MACHINES.index(machine)
    allowed = ALWAYS | SIGNALS if signals else ALWAYS
    actions = {numbers[column]: [_result(_ALLOW)] for numbers in allowed.values() if numbers[column] is not None}
    actions |= {numbers[column]: check for numbers, check in CHECKED.values()}
    ranges: list[tuple[int, list[Operation]]] = []
    for number in range(max(actions) + 2):
        action = actions.get(number, [_result(REFUSE)])
        if not ranges or ranges[-1][1] != action:
            ranges.append((number, action))
    if machine == "x86_64":
        ranges.append((_X32, [_result(_KILL_PROCESS)]))
    return ranges


def _tree(ranges: list[tuple[int, list[Operation]]]) -> list[Operation]:
    """A binary search for the range of the number. The leaves are the ranges' actions."""
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    below, above = _tree(ranges[:middle]), _tree(ranges[middle:])
    return [(_AT_LEAST, len(below), 0, ranges[middle][0]), *below, *above]


class Filter:
    """A BPF program in the kernel's form; made once, installed in each child."""

    def __init__(self, operations: list[Operation]) -> None:
        code = b"".join(struct.pack("=HBBI", *operation) for operation in operations)
        self._code = ctypes.create_string_buffer(code, len(code))  # kept alive: the header holds its address
        header = struct.pack("@HP", len(operations), ctypes.addressof(self._code))
        mode_filter = 2
        self._install = kernel.prepared("prctl", kernel.PR_SET_SECCOMP, mode_filter, header, 0, 0)

    def install(self) -> None:
        """Put the filter on this thread and all that it starts, for good. Needs no_new_privs. Raises OSError."""
        self._install()
