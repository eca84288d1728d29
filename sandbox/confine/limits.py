"""What a program may use, and as whom: its own user and session, no capabilities, resource limits, no descriptors.

Covered (tests in test_layers.py): CPU time, address space, file size, open files, threads, core dumps,
locked memory and message queues, as hard limits that the program cannot raise; nothing that was open in the zygote
stays open; whoever kills the zygote kills the program; a signal to a process group is not for it; as root, the
program is a user that owns nothing and that no other slot's program is.
Not covered: threads, when the caller is an ordinary user without a user namespace: the kernel then counts all
processes of that user, so the limit is left out, and memory alone bounds them (8 MiB each). The limits are each
process's own: if it could fork (seccomp forbids it), `threads` processes could use `threads` times the memory.
Costs, in ms a program: limits 0.03, descriptors 0.05, capabilities 0.05, session 0.02, death signal 0.02.
"""

import os
import resource
import signal
import struct
import sys

from sandbox.confine import kernel

# No descriptor lies above: the zygote may open no more, and its starter passes on few.
_HIGHEST_FD = 1 << 16
_ZYGOTE_FILES = 256

# Above the users that a system hands out (systemd's ranges end below), so this user is nobody else's.
_FIRST_USER = 0x70000000
NOBODY = 65534

_STDLIB = os.path.dirname(os.__file__)
_STDLIB_FD = 200

_STACK_BYTES = 8 << 20  # so that deep recursion ends at the same depth everywhere
_PENDING_SIGNALS = 16

# Version 3, for the calling process; then no effective, permitted and inheritable capability, in two halves.
_CAPABILITY_HEADER = struct.pack("=Ii", 0x20080522, 0)
_NO_CAPABILITIES = bytes(24)


def users_to_try() -> tuple[int, int]:
    """User ids for the programs of this slot; the first may lie outside the map of a container."""
    return _FIRST_USER + os.getpid(), NOBODY


def become(user: int) -> None:
    """Give up root for good. Raises OSError when that is not permitted."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def read_stdlib() -> None:
    """Raises OSError when the calling user cannot."""
    os.listdir(_STDLIB)


def reach_stdlib_by_descriptor() -> int:
    """Let another user import when Python lives in a directory closed to others (root's home, say).

    A path through an open descriptor is not checked against the directories above it. Returns the descriptor,
    which has to stay open. Needs /proc.
    """
    link = f"/proc/self/fd/{_STDLIB_FD}"
    fd = os.open(_STDLIB, os.O_PATH)
    os.dup2(fd, _STDLIB_FD)
    os.close(fd)
    sys.path[:] = [path.replace(_STDLIB, link, 1) for path in sys.path]
    for module in list(sys.modules.values()):
        if hasattr(module, "__path__"):
            module.__path__ = [path.replace(_STDLIB, link, 1) for path in module.__path__]
    sys.path_importer_cache.clear()
    return _STDLIB_FD


# Be killed when the parent ends. A change of user undoes it, so call it after that. Linux only.
die_with_parent = kernel.prepared("prctl", kernel.PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)

# Give up all special rights, those in the user namespace included.
drop_capabilities = kernel.prepared_syscall("capset", _CAPABILITY_HEADER, _NO_CAPABILITIES)


def take_orphans() -> None:
    """What a program leaves behind becomes a child of the caller, whatever session it moved to."""
    kernel.call("prctl", kernel.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def hide_memory() -> None:
    """Processes of the same user cannot trace this one or read its memory."""
    kernel.call("prctl", kernel.PR_SET_DUMPABLE, 0, 0, 0, 0)


def no_new_privileges() -> None:
    """No setuid program gives anything back. Landlock and seccomp ask for it."""
    kernel.call("prctl", kernel.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def limit_zygote(limits: dict) -> None:
    """The limits that a child inherits. Raises OSError or ValueError where the system lacks one."""
    kernel.use_one_arena()
    _limit(resource.RLIMIT_AS, limits["memory_bytes"])
    _limit(resource.RLIMIT_FSIZE, limits["output_bytes"])
    _limit(resource.RLIMIT_STACK, _STACK_BYTES)
    _limit(resource.RLIMIT_NOFILE, max(_ZYGOTE_FILES, limits["open_files"]))
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_MEMLOCK, 0)
    for name, value in (("MSGQUEUE", 0), ("NICE", 0), ("RTPRIO", 0), ("SIGPENDING", _PENDING_SIGNALS)):
        if hasattr(resource, f"RLIMIT_{name}"):  # these are Linux's own
            _limit(getattr(resource, f"RLIMIT_{name}"), value)


def limit_threads(count: int) -> None:
    """Processes and threads of this user in this user namespace. The kernel does not enforce it for root."""
    _limit(resource.RLIMIT_NPROC, count)


def limit_child(limits: dict, cpu_seconds: int) -> None:
    """The limits that the zygote could not bear itself."""
    # Whole seconds, and hard: a first process ignores the signal of the soft limit. The judge watches CPU time
    # more closely; this stands behind it, by a quarter: on a busy machine the kernel, which counts ticks, was seen
    # to be an eighth ahead of the clock that the judge reads.
    _limit(resource.RLIMIT_CPU, cpu_seconds * 5 // 4 + 1)
    _limit(resource.RLIMIT_NOFILE, limits["open_files"])


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)  # the caller's own limit may be lower, and only root may raise it
    resource.setrlimit(kind, (value, value))


def place(places: dict[int, int]) -> None:
    """Put open descriptors where they belong.

    places  target descriptor: the one that is to lie there
    Raises ValueError when one that is to move lies where another is to go.
    """
    moving = {source for target, source in places.items() if source != target}
    if moving & places.keys():
        raise ValueError(f"descriptors in each other's way: {places}")
    for target, source in places.items():
        if source != target:
            os.dup2(source, target)


def close_others(kept: set[int]) -> None:
    """Close all descriptors but these."""
    first = 0
    for stays in (*sorted(kept), _HIGHEST_FD):
        if first < stays:  # given an empty range, Python 3.11 closes all from `first` on
            os.closerange(first, stays)
        first = stays + 1
