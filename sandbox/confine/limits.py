"""What a program may use, and as which user: resource limits, an own user, no capabilities, no inherited descriptors.

Covered (tests in tests/sandbox/confine/test_layers.py): hard limits of CPU time, address space, file size, open files,
threads, core dumps, locked memory and message queues. No descriptor of the zygote stays open. A killed zygote's program
is killed. No signal of the caller's process group. As root: a user for each slot that owns nothing.
Not covered: threads, for an ordinary user without a user namespace (the kernel counts all processes of the user): only
memory bounds them (8 MiB each). Limits hold per process: forks (seccomp forbids them) would multiply the memory.
Costs, in ms a program: limits 0.03, descriptors 0.05, capabilities 0.05, session 0.02, death signal 0.02.
"""

import contextlib
import os
import resource
import signal
import struct

from sandbox.confine import kernel

_ZYGOTE_FILES = 256
_M_ARENA_MAX = -8

# Users for programs: a slot adds its process id to the first, which is above all users of a system (systemd's ranges
# end below) but may lie outside the user map of a container; the second does not.
FIRST_USER, NOBODY = 0x70000000, 65534

_STACK_BYTES = 8 << 20  # so that deep recursion ends at the same depth everywhere
_PENDING_SIGNALS = 16

# Version 3, for the calling process; then no effective, permitted and inheritable capability, in two halves.
_CAPABILITY_HEADER = struct.pack("=Ii", 0x20080522, 0)
_NO_CAPABILITIES = bytes(24)


def become(user: int) -> None:
    """Change to this user for good. Raises OSError when that is not permitted."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


# The kernel kills this process when its parent ends. A change of user undoes this. Linux only.
die_with_parent = kernel.prepared("prctl", kernel.PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
# Give up all special rights, also those in the user namespace.
drop_capabilities = kernel.prepared("capset", _CAPABILITY_HEADER, _NO_CAPABILITIES)
# Processes that a program leaves behind become children of the caller, whatever session they are in.
take_orphans = kernel.prepared("prctl", kernel.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
# Other processes of the same user cannot trace this one or read its memory.
hide_memory = kernel.prepared("prctl", kernel.PR_SET_DUMPABLE, 0, 0, 0, 0)
# Setuid programs give no rights. Landlock and seccomp require it.
no_new_privileges = kernel.prepared("prctl", kernel.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def limit_zygote(limits: dict) -> None:
    """Set the limits that children inherit. Raises OSError or ValueError where the system lacks one."""
    # One arena for all threads: glibc reserves 64 MiB of address space for each arena.
    with contextlib.suppress(OSError):  # another C library
        kernel.call("mallopt", _M_ARENA_MAX, 1)
    _limit(resource.RLIMIT_AS, limits["memory_bytes"])
    _limit(resource.RLIMIT_FSIZE, limits["output_bytes"])
    _limit(resource.RLIMIT_STACK, _STACK_BYTES)
    _limit(resource.RLIMIT_NOFILE, max(_ZYGOTE_FILES, limits["open_files"]))
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_MEMLOCK, 0)
    for name, value in (("MSGQUEUE", 0), ("NICE", 0), ("RTPRIO", 0), ("SIGPENDING", _PENDING_SIGNALS)):
        if hasattr(resource, f"RLIMIT_{name}"):  # Linux only
            _limit(getattr(resource, f"RLIMIT_{name}"), value)


def limit_threads(count: int) -> None:
    """Limit processes and threads of this user in this user namespace. The kernel does not enforce it for root."""
    _limit(resource.RLIMIT_NPROC, count)


def limit_child(limits: dict, cpu_seconds: int) -> None:
    """Set the limits that are too narrow for the zygote."""
    # Hard, because the first process of a PID namespace ignores the signal of the soft limit. A quarter higher, because
    # the judge's exact clock must act first and the kernel's ticks were an eighth ahead of it on a busy machine.
    _limit(resource.RLIMIT_CPU, cpu_seconds * 5 // 4 + 1)
    _limit(resource.RLIMIT_NOFILE, limits["open_files"])


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)  # the caller's own limit may be lower, and only root may raise it
    resource.setrlimit(kind, (value, value))


def place(places: dict[int, int]) -> None:
    """Move open descriptors (values) to their targets (keys). Raises ValueError when one lies on another's target."""
    moving = {source for target, source in places.items() if source != target}
    if moving & places.keys():
        raise ValueError(f"descriptors in each other's way: {places}")
    for target, source in places.items():
        if source != target:
            os.dup2(source, target)
