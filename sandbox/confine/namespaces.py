"""Namespaces: what a program can see. Own users, processes and network, and a file system with little except Python.

Covered (tests in tests/sandbox/confine/test_layers.py): the only files are Python's library, the shared libraries and
the time zones, all read-only. No /proc, /sys, /tmp, home or installed packages (they may hold answers). No process of
others to signal or trace; all processes of a program end with its first. No network, not even a loopback. No shared
memory, message queues or abstract sockets in common with others.
Not covered: faults of the kernel. Resources; see limits.py.
Costs: the PID namespace 0.03 ms a program; the others nothing.
"""

import contextlib
import glob
import os
import select
import signal
import sys
from collections.abc import Callable

from sandbox.confine import kernel

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
_NEWUSER, _NEWPID, _NEWNET = 0x10000000, 0x20000000, 0x40000000

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID = 1, 2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000

DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
HOME = "/box"  # a program's working directory: empty and read-only
_OLD_PROC = "/proc"  # the new root is built here: every Linux has it, and we need nothing below it
_STDLIB = os.path.dirname(os.__file__)
_STDLIB_FD = 200


def read_stdlib() -> None:
    """Raises OSError when the calling user cannot read Python's library."""
    os.listdir(_STDLIB)


def reach_stdlib_by_descriptor() -> int:
    """Let another user import when Python is in a closed directory (for example root's home).

    A path through an open descriptor skips the check of the directories above. Returns the descriptor, which must stay
    open. Needs /proc.
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


def library_paths() -> list[str]:
    """The paths that Python and its extension modules read: standard library, shared libraries, time zones."""
    places = [_STDLIB, f"{sys.base_prefix}/lib", f"{sys.base_exec_prefix}/{sys.platlibdir}"]
    places += ["/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib32", "/lib64"]
    places += ["/usr/share/zoneinfo", "/etc/ld.so.cache"]
    return sorted({place for place in places if os.path.exists(place)})  # sorted: a directory comes before its content


def package_paths() -> list[str]:
    """Directories below `library_paths()` with installed packages, to be hidden from programs."""
    patterns = ("python3*/site-packages", "python3*/dist-packages", "site-packages", "dist-packages")
    found = [hit for place in library_paths() for pattern in patterns for hit in glob.glob(f"{place}/{pattern}")]
    return sorted({os.path.realpath(hit) for hit in found if os.path.isdir(hit)})


def own_mounts() -> None:
    """Move this process to a new, read-only root without /proc. After an OSError the process has its old root.

    Needs the rights of root, real or in a user namespace of its own.
    """
    read_stdlib()
    kernel.call("unshare", _NEWNS)
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)  # our mounts must not appear outside
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    _mount(b"tmpfs", _OLD_PROC, b"tmpfs", flags, b"size=256k,nr_inodes=512,mode=755")
    try:
        _fill(_OLD_PROC)
        _set_read_only(_OLD_PROC)
        home = os.open("/", os.O_PATH)
        os.chdir(_OLD_PROC)
        try:
            kernel.call("pivot_root", b".", b".")  # the old root now lies on top of the new one
        except OSError:
            os.fchdir(home)
            raise
        finally:
            os.close(home)
    except OSError:
        kernel.call("umount2", _OLD_PROC.encode(), _MNT_DETACH)
        raise
    kernel.call("umount2", b".", _MNT_DETACH)
    os.chdir(HOME)


def _fill(root: str) -> None:
    os.mkdir(root + HOME)
    paths = library_paths()
    for path in paths:
        if os.path.islink(path) and os.path.realpath(path) in paths:
            os.makedirs(os.path.dirname(root + path), exist_ok=True)
            os.symlink(os.path.realpath(path), root + path)  # /lib -> /usr/lib
        elif not os.path.exists(root + path):
            _bind(path, root + path)
    for path in DEVICES:
        _bind(path, root + path)
    for path in package_paths():
        if os.path.isdir(root + path):
            _bind(root + HOME, root + path)


def _bind(source: str, target: str) -> None:
    """Show a file or directory at a second path, which is made if missing."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_RDONLY, 0o444))
    _mount(source.encode(), target, None, _MS_BIND | _MS_REC)


def _mount(source: bytes | None, target: str, kind: bytes | None, flags: int, data: bytes | None = None) -> None:
    kernel.call("mount", source, target.encode(), kind, flags, data)


def _set_read_only(root: str) -> None:
    """Make all mounts at and below `root` read-only. A remount would miss those below."""
    fields = (_MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID, 0, 0, 0)  # set, clear, propagation, user namespace
    attributes = b"".join(field.to_bytes(8, sys.byteorder) for field in fields)
    kernel.call("mount_setattr", _AT_FDCWD, root.encode(), _AT_RECURSIVE, attributes, len(attributes))


def own_users(proc: int) -> None:
    """Enter a user namespace in which this process has all rights and keeps its user and group. `proc`: see below."""
    user, group = os.geteuid(), os.getegid()
    kernel.call("prctl", kernel.PR_SET_DUMPABLE, 1, 0, 0, 0)  # otherwise the files below belong to root
    kernel.call("unshare", _NEWUSER)
    _write(proc, "self/setgroups", "deny")  # the kernel requires this before the next file
    _write(proc, "self/gid_map", f"{group} {group} 1")
    _write(proc, "self/uid_map", f"{user} {user} 1")


def _write(directory: int, path: str, text: str) -> None:
    with open(os.open(path, os.O_WRONLY, dir_fd=directory), "w") as file:
        file.write(text)


# Enter a network that has only a loopback device, which is down.
own_network = kernel.prepared("unshare", _NEWNET)


def own_names() -> None:
    """Enter own namespaces of shared memory, message queues, host name and control groups."""
    kernel.call("unshare", _NEWIPC | _NEWUTS | _NEWCGROUP)
    kernel.call("sethostname", b"box", 3)


def become_first_process(proc: int) -> Callable[[], None]:
    """Go on as the first process of a new PID namespace. `proc`: descriptor of the machine's /proc.

    The calling process waits outside and ends as the new one ends; killing it kills the new one.
    Returns a function to call before each fork: the fork is then the first process of a PID namespace below ours. (The
    kernel allows this to root, or if the caller's PID namespace belongs to its own user namespace.)
    """
    kernel.call("unshare", _NEWPID)
    alive, proof = os.pipe()
    pid = os.fork()
    if pid != 0:
        _wait_outside(pid, proof)
    os.close(proof)
    kernel.call("prctl", kernel.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    gone = select.poll()
    gone.register(alive, 0)  # reports hang-up only
    if gone.poll(0):  # the outer process died before our prctl; getppid() is 0 here in either case
        os._exit(1)
    os.close(alive)
    here = os.open("self/ns/pid", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    back = kernel.prepared("setns", here, _NEWPID)  # leaves the last program's namespace, which is dead
    away = kernel.prepared("unshare", _NEWPID)

    def before_fork() -> None:
        back()
        away()

    return before_fork


def _wait_outside(pid: int, proof: int) -> None:
    """Wait for `pid` and end as it ends. Keeps only `proof` open, so that others see when files are closed."""
    try:
        kernel.close_others({proof})
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code < 0:
            with contextlib.suppress(OSError):  # SIGKILL and SIGSTOP have no handler to reset
                signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        os._exit(code if code >= 0 else 128 - code)
    finally:
        os._exit(1)


def have_user_namespace() -> None:
    """Raises OSError when a user namespace cannot be made, or gives no rights. Call it in a fork."""
    kernel.call("unshare", _NEWUSER)
    kernel.call("unshare", _NEWPID)  # some systems allow the first and then refuse all calls in it
