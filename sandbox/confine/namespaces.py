"""What a program can see: its own users, processes, network, and a file system with little more than Python in it.

Covered (tests in test_layers.py): no file of the machine but Python's library, the shared libraries and
the time zones, all read-only; no /proc, /sys, /tmp, home, no installed packages (the answers to the data sets'
problems may lie there); no other process to signal or trace, and the end of a program's first process is the end of
all; no network, not even its own loopback; no shared memory, message queues or abstract sockets with others.
Not covered: kernel faults. Resources are not a matter of namespaces: limits.py.
Costs: the PID namespace 0.03 ms a program; all others are made once and cost a program nothing.
"""

import contextlib
import glob
import os
import select
import signal
import sys
from collections.abc import Callable

from sandbox.confine import kernel, limits

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
_NEWUSER, _NEWPID, _NEWNET = 0x10000000, 0x20000000, 0x40000000

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID = 1, 2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000

DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
HOME = "/box"  # a program's working directory: empty, and not to be written to
_OLD_PROC = "/proc"  # the new root grows here: every Linux has it, and nothing that we need lies below


def library_paths() -> list[str]:
    """Where Python and its extension modules read: the standard library, shared libraries, time zones."""
    places = [os.path.dirname(os.__file__), f"{sys.base_prefix}/lib", f"{sys.base_exec_prefix}/{sys.platlibdir}"]
    places += ["/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib32", "/lib64"]
    places += ["/usr/share/zoneinfo", "/etc/ld.so.cache"]
    return sorted({place for place in places if os.path.exists(place)})  # sorted: a directory before what is in it


def package_paths() -> list[str]:
    """Directories below `library_paths()` with installed packages: no business of a program."""
    patterns = ("python3*/site-packages", "python3*/dist-packages", "site-packages", "dist-packages")
    found = [hit for place in library_paths() for pattern in patterns for hit in glob.glob(f"{place}/{pattern}")]
    return sorted({os.path.realpath(hit) for hit in found if os.path.isdir(hit)})


def own_mounts() -> None:
    """Move this process onto a new, read-only root. Raises OSError, and then nothing has changed for it.

    Needs the rights of root, real or in a user namespace of its own. Afterwards /proc is gone.
    """
    limits.read_stdlib()
    kernel.call("unshare", _NEWNS)
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)  # what we mount is not to appear in the caller's view
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    _mount(b"tmpfs", _OLD_PROC, b"tmpfs", flags, b"size=256k,nr_inodes=512,mode=755")
    try:
        _fill(_OLD_PROC)
        _set_read_only(_OLD_PROC)
        home = os.open("/", os.O_PATH)
        os.chdir(_OLD_PROC)
        try:
            kernel.syscall("pivot_root", b".", b".")  # the old root now lies on top of the new one
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
    """Show a file or directory at a second place; the place is made when it is missing."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_RDONLY, 0o444))
    _mount(source.encode(), target, None, _MS_BIND | _MS_REC)


def _mount(source: bytes | None, target: str, kind: bytes | None, flags: int, data: bytes | None = None) -> None:
    kernel.call("mount", source, target.encode(), kind, flags, data)


def _set_read_only(root: str) -> None:
    """All mounts at and below `root`. A remount would miss those below."""
    fields = (_MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID, 0, 0, 0)  # set, clear, propagation, user namespace
    attributes = b"".join(field.to_bytes(8, sys.byteorder) for field in fields)
    kernel.syscall("mount_setattr", _AT_FDCWD, root.encode(), _AT_RECURSIVE, attributes, len(attributes))


def own_users(proc: int) -> None:
    """A user namespace in which this process has all rights, and its user and group are who they were.

    proc  descriptor of the machine's /proc, which may be out of sight by now
    """
    user, group = os.geteuid(), os.getegid()
    kernel.call("prctl", kernel.PR_SET_DUMPABLE, 1, 0, 0, 0)  # otherwise the files below belong to root
    kernel.call("unshare", _NEWUSER)
    _write(proc, "self/setgroups", "deny")  # the kernel asks for it before it lets a user write the next
    _write(proc, "self/gid_map", f"{group} {group} 1")
    _write(proc, "self/uid_map", f"{user} {user} 1")


def _write(directory: int, path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY, dir_fd=directory)
    try:
        os.write(fd, text.encode("ascii"))
    finally:
        os.close(fd)


def own_network() -> None:
    """A network with nothing in it but a loopback device that is down."""
    kernel.call("unshare", _NEWNET)


def own_names() -> None:
    """Shared memory, message queues, host name and control groups of our own."""
    kernel.call("unshare", _NEWIPC | _NEWUTS | _NEWCGROUP)
    kernel.call("sethostname", b"box", 3)


def become_first_process(proc: int) -> int:
    """Go on as the first process of a new PID namespace. Returns a descriptor of the namespace.

    The calling process stays behind, outside, does nothing but wait, and ends as the new one ends; if it is
    killed, the new one is killed too. So who started it may wait for it and kill it as if it were the new one.

    proc  descriptor of the machine's /proc
    """
    kernel.call("unshare", _NEWPID)
    alive, proof = os.pipe()
    pid = os.fork()
    if pid != 0:
        _wait_outside(pid, proof)
    os.close(proof)
    kernel.call("prctl", kernel.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    gone = select.poll()
    gone.register(alive, 0)  # nothing but hang-up
    if gone.poll(0):  # it died before we asked for the signal; getppid() is 0 here in either case
        os._exit(1)
    os.close(alive)
    return os.open("self/ns/pid", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)


def _wait_outside(pid: int, proof: int) -> None:
    """End as `pid` ends. Holds nothing open but the proof of being alive, so that others see the end of files."""
    try:
        limits.close_others({proof})
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code < 0:
            with contextlib.suppress(OSError):  # SIGKILL and SIGSTOP have no handler to reset
                signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        os._exit(code if code >= 0 else 128 - code)
    finally:
        os._exit(1)


def apart_from(here: int) -> Callable[[], None]:
    """What to call before each fork, so that it is the first process of a PID namespace below ours.

    The kernel allows it only to a process whose own PID namespace belongs to its own user namespace (or to root).
    """
    back = kernel.prepared("setns", here, _NEWPID)  # from the last program's namespace, which is dead
    away = kernel.prepared("unshare", _NEWPID)

    def before_fork() -> None:
        back()
        away()

    return before_fork


def have_user_namespace() -> None:
    """Raises OSError when a user namespace cannot be made, or gives no rights. To be called in a fork."""
    kernel.call("unshare", _NEWUSER)
    kernel.call("unshare", _NEWPID)  # some systems grant the first and then refuse everything in it
