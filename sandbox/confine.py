"""What a program may use: resource limits, its own user, its own session. Called in the child, before it.

Covered (each line has a test in tests/sandbox/test_confinement.py):
- CPU time, address space, file size, open files and core dumps, as hard limits that the program cannot raise;
- processes and threads, when the caller is root: the child becomes a user of its own, one per slot.
  (RLIMIT_NPROC is not enforced for root.) For any other caller the limit counts all processes of the caller's
  user, so as a rule the program can start none;
- as root, signals: the program cannot kill or stop its zygote, the caller, or another slot's program;
- setuid programs give nothing back (no_new_privs).

Not covered: namespaces, seccomp, cgroups. The program can read whatever any user can read, write to /tmp,
open sockets; `processes` x `memory_bytes` together can exceed the machine. When the caller is not root, the
program runs as the caller's user and can signal and read what that user can; a killed zygote is noticed by
the pool, a killed caller is not there to notice.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
# Resolved once, in the zygote: a child only calls it.
_prctl = ctypes.CDLL(None, use_errno=True).prctl

# Above the users that a system hands out (systemd's ranges end below), so this user is nobody else's.
_FIRST_USER = 0x70000000
_NOBODY = 65534

_STDLIB = os.path.dirname(os.__file__)

REPORT_FD = 100
_STDLIB_FD = 101


def _set(option: int, value: int) -> None:
    if _prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value})")


def prepare_zygote() -> int | None:
    """Set up the zygote once. Returns the user id for its children, or None when it cannot be changed."""
    _set(_PR_SET_CHILD_SUBREAPER, 1)  # orphans of a program become ours, whatever session they moved to
    _set(_PR_SET_NO_NEW_PRIVS, 1)
    _set(_PR_SET_DUMPABLE, 0)  # a child of the same user cannot read our memory
    if os.geteuid() != 0:
        return None
    for user in (_FIRST_USER + os.getpid(), _NOBODY):  # the first may lie outside the map of a container
        if _works(become, user):
            if not _works(_become_and_read, user):
                _reach_stdlib_by_descriptor()
            return user
    return None


def _become_and_read(user: int) -> None:
    become(user)
    os.listdir(_STDLIB)


def _works(action, user: int) -> bool:
    """Whether `action(user)` is permitted, tried in a child so that nothing of it stays."""
    pid = os.fork()
    if pid == 0:
        try:
            action(user)
            os._exit(0)
        except OSError:
            os._exit(1)
        finally:
            os._exit(2)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code not in (0, 1):
        raise RuntimeError(f"the sandbox's probe of user ids ended with {code}")
    return code == 0


def _reach_stdlib_by_descriptor() -> None:
    """Let children import when Python lives in a directory closed to other users (root's home, say).

    A path through an open descriptor is not checked against the directories above it.
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


def become(user: int) -> None:
    """Give up root for good. Raises OSError when that is not permitted."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def confine(limits: dict, user: int | None, output_fd: int, report_fd: int, zygote: int) -> None:
    """Confine the calling process. Descriptors 0 to 2, REPORT_FD and the library's stay open, no others."""
    os.setsid()
    os.dup2(output_fd, 1)
    os.dup2(output_fd, 2)
    os.dup2(report_fd, REPORT_FD, inheritable=False)
    os.closerange(3, REPORT_FD)
    os.closerange(_STDLIB_FD + 1, 1 << 16)
    # The zygote watches CPU time to the millisecond; the kernel's own limit, in whole seconds, stands behind
    # it.
    _limit(resource.RLIMIT_CPU, int(limits["cpu_seconds"]) + 1)
    _limit(resource.RLIMIT_AS, limits["memory_bytes"])
    _limit(resource.RLIMIT_FSIZE, limits["output_bytes"])
    _limit(resource.RLIMIT_NPROC, limits["processes"])
    _limit(resource.RLIMIT_NOFILE, limits["open_files"])
    _limit(resource.RLIMIT_CORE, 0)
    if user is not None:
        become(user)
    _set(_PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which clears it
    if os.getppid() != zygote:
        os._exit(1)


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)  # the caller's own limit may be lower, and only root may raise it
    resource.setrlimit(kind, (value, value))
