"""Puts the layers on, at two moments.

    confine_zygote   once, before any program: namespaces, a new root, the limits that children inherit
    confine_child    in each program's process, at its start: descriptors, session, rights, seccomp

Covered: a layer is on only after its calls have succeeded; those of the child are tried in a fork. A layer that the
machine lacks reports why; the others are put on without it.
Not covered: faults of the kernel, side channels (time, caches), the load of the machine.
All layers cost 0.3 ms a program; a fork without them costs 0.6.
"""

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.confine import kernel, landlock, layers, limits, namespaces, seccomp

_LEFT_OUT = "left out on request"
_BROKEN = 255  # status of a fork that ended by anything except an OSError
_CLEARING_SECONDS = 5.0
_exit = os._exit  # a program can replace the one in `os`


@dataclass
class State:
    """The state of a zygote's confinement, for its children."""

    status: dict[str, str]  # layer: "on", or the reason why not, in one line
    settings: dict  # fields of outcome.Limits
    zygote: int  # process id of the zygote as its children see it; 0 if each has a PID namespace of its own
    user: int | None = None  # that a child has to become; None if the zygote is that user already, or cannot change
    before_fork: Callable[[], None] = lambda: None  # call it directly before each fork of the zygote; raises OSError
    rules: int | None = None  # descriptor of Landlock rules that a child puts on itself; None if the zygote has
    filter: seccomp.Filter | None = None
    kept: tuple[int, ...] = ()  # descriptors of Python's library, which stay open in a child
    proc: int | None = None  # descriptor of /proc, to find stray processes; None if a PID namespace ends them

    def has(self, name: str) -> bool:
        """Whether a layer is on."""
        return self.status.get(name) == "on"


def confine_zygote(settings: dict, without: frozenset[str] = frozenset()) -> State:
    """Put on all that children inherit, in a process with one thread. `settings`: fields of outcome.Limits.

    With a PID namespace this returns in another process; the calling one waits outside and ends with it.
    Raises ValueError for an unknown layer in `without`.
    """
    state = State(dict.fromkeys(layers.left_out(without), _LEFT_OUT), settings, zygote=os.getpid())
    if sys.platform == "linux":
        _confine_on_linux(state)
    else:
        for name in layers.LINUX_ONLY:
            state.status.setdefault(name, f"needs Linux; this is {sys.platform}")
    _put_on(state, layers.LIMITS, limits.limit_zygote, settings)
    if not state.has(layers.MOUNTS):
        os.chdir("/")  # hides the caller's working directory
    for name in (layers.DESCRIPTORS, layers.SESSION):
        state.status.setdefault(name, "on")
    state.status = {layer.name: state.status[layer.name] for layer in layers.LAYERS}
    return state


def _confine_on_linux(state: State) -> None:
    """The order matters: root makes the new file system while it is root (Python may be in root's home); another user
    needs a user namespace first.
    """
    parent = os.getppid()
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)  # needed after the new root hides it
    _put_on(state, layers.PRIVILEGES, limits.no_new_privileges)
    _put_on(state, layers.OWN_USER, _choose_user, state)
    if os.geteuid() == 0:
        _put_on(state, layers.MOUNTS, namespaces.own_mounts)
    if not state.has(layers.MOUNTS):
        _put_on(state, layers.LANDLOCK, _make_rules, state)  # now, because root can open closed directories
        if _fails_in_fork(state, lambda: _become_user(state), namespaces.read_stdlib):
            state.kept = (namespaces.reach_stdlib_by_descriptor(),)
    _put_on(state, layers.USERS, _enter_user_namespace, state, proc)
    if not state.has(layers.MOUNTS):
        _put_on(state, layers.MOUNTS, namespaces.own_mounts)
    _put_on(state, layers.NETWORK, namespaces.own_network)
    _put_on(state, layers.NAMES, namespaces.own_names)
    _put_on(state, layers.DEATH, limits.die_with_parent)
    if os.getppid() != parent:  # the parent ended before we asked for its death signal
        _exit(1)
    _put_on(state, layers.PROCESSES, _become_first_process, state, proc)
    if state.has(layers.PROCESSES):
        os.close(proc)
        state.zygote = 0
    else:
        state.proc = proc
        limits.take_orphans()
    limits.hide_memory()
    _put_on(state, layers.THREADS, _limit_threads, state)
    _put_on(state, layers.LANDLOCK, _put_on_rules, state)
    _put_on(state, layers.SCOPE, _check_scope, state)
    _put_on(state, layers.CAPABILITIES, _try_in_fork, state, "capset", limits.drop_capabilities)
    _put_on(state, layers.SECCOMP, _make_filter, state)


def _put_on(state: State, name: str, action: Callable, *arguments: object) -> None:
    """Put a layer on; note "on" or the reason why not."""
    if state.status.get(name) == _LEFT_OUT:
        return
    try:
        action(*arguments)
    except (OSError, ValueError) as error:
        state.status[name] = getattr(error, "strerror", None) or str(error)
    else:
        state.status[name] = "on"


def _fails_in_fork(state: State, *actions: Callable) -> int:
    """Try actions in a fork, without effect here. Returns 0 or the number of the OSError."""
    state.before_fork()
    pid = os.fork()
    if pid == 0:
        try:
            for action in actions:
                action()
            _exit(0)
        except OSError as error:
            _exit(error.errno)
        finally:
            _exit(_BROKEN)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if not 0 <= code < _BROKEN:
        raise RuntimeError(f"a fork that tried a layer of the sandbox ended with status {code}")
    return code


def _try_in_fork(state: State, what: str, *actions: Callable) -> None:
    """The same, but raises the OSError, with the name of the call."""
    code = _fails_in_fork(state, *actions)
    if code:
        raise OSError(code, f"{what}: {os.strerror(code)}")


def _choose_user(state: State) -> None:
    """Choose the user for the programs of this slot. The zygote itself may become it later."""
    if os.geteuid() != 0:
        raise ValueError("needs root")
    own = limits.FIRST_USER + os.getpid()
    state.user = limits.NOBODY if _fails_in_fork(state, lambda: limits.become(own)) else own
    try:
        _try_in_fork(state, "setresuid", lambda: _become_user(state))
    except OSError:
        state.user = None
        raise


def _become_user(state: State) -> None:
    if state.user is not None:
        limits.become(state.user)


def _enter_user_namespace(state: State, proc: int) -> None:
    """The zygote itself becomes the user of its programs here."""
    _try_in_fork(state, "unshare", lambda: _become_user(state), namespaces.have_user_namespace)
    _become_user(state)
    state.user = None
    namespaces.own_users(proc)


def _become_first_process(state: State, proc: int) -> None:
    state.before_fork = namespaces.become_first_process(proc)


def _limit_threads(state: State) -> None:
    """The kernel counts threads per user in a user namespace, also those of the zygote and the outer process."""
    if state.has(layers.USERS):
        if os.geteuid() == 0:
            raise ValueError("the kernel does not limit root")
        ours = 2 if state.has(layers.PROCESSES) else 1
    elif state.user is not None:
        if state.user == limits.NOBODY:
            raise ValueError(f"user {state.user} is shared with other slots")
        ours = 0
    else:
        raise ValueError("without a user of its own the kernel would count all processes of the caller's")
    limits.limit_threads(state.settings["threads"] + ours)


def _make_rules(state: State) -> None:
    """Landlock rules for all that is visible now: the whole new root, or Python and its libraries."""
    if state.has(layers.MOUNTS):
        readable, hidden = ["/"], []
    else:
        readable, hidden = [*namespaces.library_paths(), *namespaces.DEVICES], namespaces.package_paths()
    if state.rules is not None:
        os.close(state.rules)
    scoped = state.status.get(layers.SCOPE) != _LEFT_OUT
    state.rules = landlock.ruleset(readable, hidden, writable=["/dev/null"], scoped=scoped)


def _put_on_rules(state: State) -> None:
    """Put the rules on the zygote if namespaces separate its programs; else each program puts them on itself."""
    if state.has(layers.MOUNTS) or state.rules is None:
        _make_rules(state)
    if state.has(layers.MOUNTS) and state.has(layers.PROCESSES):
        landlock.restrict(state.rules)
        os.close(state.rules)
        state.rules = None
    else:
        _try_in_fork(state, "landlock_restrict_self", lambda: landlock.restrict(state.rules))


def _check_scope(state: State) -> None:
    if not state.has(layers.LANDLOCK):
        raise ValueError("needs Landlock")
    if landlock.abi() < landlock.SCOPE_SINCE:
        raise ValueError(f"kernel has Landlock ABI {landlock.abi()}; it takes {landlock.SCOPE_SINCE}")


def _make_filter(state: State) -> None:
    machine = kernel.machine()
    if not machine:
        raise ValueError(f"no table of system calls for {os.uname().machine}")
    state.filter = seccomp.Filter(seccomp.program(machine, signals=state.has(layers.PROCESSES)))
    _try_in_fork(state, "prctl", lambda: _drop_rights(state), state.filter.install)


def _drop_rights(state: State) -> None:
    _become_user(state)
    if state.has(layers.CAPABILITIES):
        limits.drop_capabilities()


def confine_child(state: State, places: dict[int, int], cpu_seconds: int) -> None:
    """Put on the other layers, in a process just forked from the zygote, before it does anything else.

    `places`: target descriptor: the open one to move there; all others are closed. `cpu_seconds`: of all tests.
    Raises OSError; the process must then end at once.
    """
    if state.has(layers.SESSION):
        os.setsid()
    if state.rules is not None and state.has(layers.LANDLOCK):
        landlock.restrict(state.rules)
    limits.place(places)
    if state.has(layers.DESCRIPTORS):
        kernel.close_others({*places, *state.kept})
    _drop_rights(state)
    if state.has(layers.DEATH):
        limits.die_with_parent()  # after the change of user, which undoes it
        if os.getppid() != state.zygote:
            _exit(1)
    if state.has(layers.LIMITS):
        limits.limit_child(state.settings, cpu_seconds)
    if state.has(layers.SECCOMP):
        state.filter.install()  # last, because it forbids most of the above


def clear_strays(state: State) -> None:
    """Kill and reap all processes that a reaped program left behind (none with a PID namespace).

    Raises RuntimeError when they do not end.
    """
    if state.has(layers.PROCESSES):
        return
    until = time.monotonic() + _CLEARING_SECONDS
    while time.monotonic() < until:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                _kill_children(state)
        except ChildProcessError:
            return  # none left
    raise RuntimeError("a program forks faster than it can be killed")


def _kill_children(state: State) -> None:
    """Kill those of this moment; more may be forked meanwhile."""
    if state.user not in (None, limits.NOBODY):
        # One signal to all, so that none can fork away.
        code = _fails_in_fork(state, lambda: _become_user(state), lambda: os.kill(-1, signal.SIGKILL))
        if code not in (0, errno.ESRCH):  # ESRCH: none was left
            raise OSError(code, f"kill: {os.strerror(code)}")
    elif state.proc is not None:
        fd = os.open(f"self/task/{os.getpid()}/children", os.O_RDONLY, dir_fd=state.proc)
        with open(fd) as file:
            for pid in file.read().split():
                os.kill(int(pid), signal.SIGKILL)
    time.sleep(0.001)
