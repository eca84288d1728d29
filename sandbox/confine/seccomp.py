"""Which system calls a program may make: an allow-list, as a classic BPF program that the kernel runs on each call.

Covered (tests in tests/sandbox/confine/test_layers.py): no new process and no other program (fork, vfork, clone without
CLONE_THREAD, exec); no socket but a pair of its own; no tracing or reading of other processes, no mounts, no
namespaces, no keys, no io_uring, no bpf, no locks, no memory files, no way to undo the death signal. Calls by foreign
numbers (32-bit calls, x32) kill the process: their tables are other tables, and an allow-list says nothing about them.
Without a PID namespace also no signals, not even to itself.
Not covered: what is allowed can still have faults in the kernel; the contents of memory behind a pointer (a path to
open) cannot be seen here, so files are the mount namespace's and Landlock's matter. Threads are allowed.
Costs 0.07 ms a program. A search tree instead of a list: the kernel walks the program once for each of its some
450 calls when it is installed, to know those that are always allowed, so its depth is what costs.
"""

import ctypes
import struct

from sandbox.confine import kernel

# Allowed whatever the arguments.
_ALWAYS = """
read write readv writev pread64 pwrite64 preadv pwritev close lseek fstat stat lstat newfstatat statx statfs fstatfs
access faccessat faccessat2 readlink readlinkat getdents getdents64 open openat getcwd chdir umask fsync fdatasync
dup dup2 dup3 pipe pipe2 select pselect6 poll ppoll epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait
epoll_pwait2 eventfd eventfd2 recvfrom shutdown getsockopt getsockname getpeername
mmap mprotect munmap mremap madvise brk
rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack pause restart_syscall
nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times getitimer setitimer alarm getrusage
getpid getppid gettid getuid geteuid getgid getegid getresuid getresgid getgroups getpgrp getpgid getsid
uname sysinfo getrlimit getpriority getrandom getcpu
futex set_robust_list get_robust_list set_tid_address rseq membarrier
sched_yield sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min
wait4 waitid exit exit_group
"""
_SIGNALS = "kill tgkill tkill"

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000  # this bit in a number asks for the x32 table
_EPERM, _ENOSYS = 1, 38
_KILL_PROCESS, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
REFUSE = _ERRNO | _EPERM

# Operations of the BPF machine, each (code, jump if true, jump if false, constant); jumps count from the next one.
_LOAD, _RETURN, _EQUAL, _AT_LEAST, _ANY_BIT = 0x20, 0x06, 0x15, 0x35, 0x45
Operation = tuple[int, int, int, int]

# Places in the data that the kernel hands over: number, architecture, and the halves of argument i.
_NUMBER, _ARCHITECTURE = 0, 4


def _low(argument: int) -> int:
    return 16 + 8 * argument


def _high(argument: int) -> int:
    return _low(argument) + 4


def _result(value: int) -> Operation:
    return _RETURN, 0, 0, value


def _only_values(argument: int, allowed: tuple[int, ...]) -> list[Operation]:
    """Allow when the low half of an argument is one of these; for arguments that the kernel takes as 32 bits."""
    tests = [(_EQUAL, len(allowed) - i, 0, value) for i, value in enumerate(allowed)]
    return [(_LOAD, 0, 0, _low(argument)), *tests, _result(REFUSE), _result(_ALLOW)]


def _only_null(argument: int) -> list[Operation]:
    """Allow when a pointer is null."""
    return [
        (_LOAD, 0, 0, _low(argument)),
        (_EQUAL, 0, 2, 0),
        (_LOAD, 0, 0, _high(argument)),
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
_CHECKED = {
    "clone": _ONLY_THREADS,
    "clone3": [_result(_ERRNO | _ENOSYS)],  # its flags lie behind a pointer; "no such call" makes libc use clone
    "fcntl": _only_values(1, (0, 1, 2, 3, 4, 1030)),  # copy, get and set flags; no locks, leases, owners, seals
    # Is it a terminal, its size; how much there is to read; (non-)blocking; close on exec or not.
    "ioctl": _only_values(1, (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)),
    "prctl": _only_values(0, (15, 16)),  # the thread's name
    "prlimit64": _only_null(2),  # read limits, set none
    "sendto": _only_null(4),  # to the other end only
    "socketpair": _only_values(0, (1,)),  # AF_UNIX: event loops talk to themselves through one
}


def program(machine: str, signals: bool) -> list[Operation]:
    """The BPF program for "x86_64" or "aarch64". `signals`: kill and its kin are allowed."""
    foreign = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        _result(_KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER),
    ]
    return foreign + _tree(_ranges(_actions(machine, signals), machine))


def _actions(machine: str, signals: bool) -> dict[int, list[Operation]]:
    """Number of each system call that is not simply refused: what to do about it."""
    always = _ALWAYS.split() + _SIGNALS.split() if signals else _ALWAYS.split()
    names = dict.fromkeys(always, [_result(_ALLOW)]) | _CHECKED
    numbers = {kernel.number(name, machine): action for name, action in names.items()}
    numbers.pop(None, None)
    return numbers


def _ranges(actions: dict[int, list[Operation]], machine: str) -> list[tuple[int, list[Operation]]]:
    """All numbers as ranges (first number, action), in order; neighbours with one action are one range."""
    ranges: list[tuple[int, list[Operation]]] = []
    for number in range(max(actions) + 2):
        action = actions.get(number, [_result(REFUSE)])
        if not ranges or ranges[-1][1] != action:
            ranges.append((number, action))
    if machine == "x86_64":
        ranges.append((_X32, [_result(_KILL_PROCESS)]))
    return ranges


def _tree(ranges: list[tuple[int, list[Operation]]]) -> list[Operation]:
    """A binary search for the range of the number, with the ranges' actions as leaves."""
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    below, above = _tree(ranges[:middle]), _tree(ranges[middle:])
    if len(below) > 255:
        raise ValueError("the tree has outgrown a BPF jump, which is at most 255 operations")
    return [(_AT_LEAST, len(below), 0, ranges[middle][0]), *below, *above]


class Filter:
    """A BPF program in the form that the kernel takes; made once, installed in each child."""

    def __init__(self, operations: list[Operation]) -> None:
        self._code = b"".join(struct.pack("=HBBI", *operation) for operation in operations)
        self._address = ctypes.create_string_buffer(self._code, len(self._code))
        header = struct.pack("@HP", len(operations), ctypes.addressof(self._address))
        self._header = ctypes.create_string_buffer(header, len(header))
        mode_filter = 2
        self._install = kernel.prepared("prctl", kernel.PR_SET_SECCOMP, mode_filter, self._header, 0, 0)

    def install(self) -> None:
        """From here on, for this thread and all it starts, for good. Needs no_new_privs. Raises OSError."""
        self._install()
