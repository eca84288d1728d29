"""The layers of confinement, in order: what each is for, and the two moments at which they are put on.

    confine_zygote   once, before any program: namespaces, a new root, limits that are inherited
    confine_child    in each program's process, first thing: descriptors, session, rights, seccomp

Covered: a layer counts as on only after its calls have succeeded, those of the child in a fork made for the purpose.
One that the machine lacks says why, and the others are put on without it; `missing_minimum` says whether what is left
is enough to train with. `python -m sandbox doctor` prints all of it.
Not covered: faults of the kernel itself, side channels (time, caches), a machine's load.
Costs 0.3 ms a program, all layers together; a fork without them, its end included, 0.6.
"""

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.confine import kernel, landlock, limits, namespaces, seccomp


@dataclass(frozen=True)
class Layer:
    """One layer.

    name        as in `status` and in the option `without`
    protects    what it does
    without_it  what is then not covered
    """

    name: str
    protects: str
    without_it: str


USERS, MOUNTS, PROCESSES, NETWORK, NAMES = (
    "user namespace",
    "mount namespace",
    "pid namespace",
    "network namespace",
    "ipc and uts namespaces",
)
OWN_USER, PRIVILEGES, LANDLOCK, SCOPE = "own user", "no new privileges", "landlock", "landlock signal scope"
SECCOMP, CAPABILITIES, LIMITS, THREADS = "seccomp", "capabilities", "resource limits", "thread limit"
DESCRIPTORS, SESSION, DEATH = "descriptors", "own session", "death signal"

LAYERS = (
    Layer(USERS, "rights to set up the other namespaces, and none outside", "namespaces need root"),
    Layer(
        MOUNTS,
        "sees Python's library and shared libraries, read-only; no /proc, home, /tmp, installed packages",
        "other files are in sight; Landlock forbids to open them, not to see that they exist",
    ),
    Layer(
        PROCESSES,
        "sees, signals and traces no process but its own; when it ends, all it started ends",
        "process ids are in sight; signals are left to its own user, seccomp and Landlock",
    ),
    Layer(NETWORK, "no network, not even the machine's loopback", "sockets are left to seccomp"),
    Layer(NAMES, "no shared memory, message queues, host name", "System V memory is left to seccomp"),
    Layer(OWN_USER, "runs as a user that owns nothing", "runs as the caller's user"),
    Layer(PRIVILEGES, "setuid programs give no rights", "setuid programs give rights; no Landlock, no seccomp"),
    Layer(LANDLOCK, "opens no file for writing, makes and removes none", "left to the mount namespace or to seccomp"),
    Layer(SCOPE, "signals no process outside", "left to the PID namespace or to seccomp"),
    Layer(
        SECCOMP,
        "no fork, exec, sockets, tracing, mounts, keys, io_uring, bpf; foreign system call tables kill",
        "the whole kernel can be reached, and so can its faults",
    ),
    Layer(CAPABILITIES, "no special rights, not in its namespaces either", "rights of root in its own namespaces"),
    Layer(LIMITS, "CPU time, memory, output, open files are bounded", "one program can use up the machine"),
    Layer(THREADS, "so is the number of threads", "threads are bounded by memory alone, processes by seccomp"),
    Layer(DESCRIPTORS, "inherits no open file but its own four", "reads and writes what the zygote had open"),
    Layer(SESSION, "signals to the caller's process group and terminal are not for it", "shares the caller's group"),
    Layer(DEATH, "is killed when the zygote ends", "outlives a killed zygote"),
)
_NAMESPACES = (USERS, MOUNTS, PROCESSES, NETWORK, NAMES)
_LINUX_ONLY = (*_NAMESPACES, OWN_USER, PRIVILEGES, LANDLOCK, SCOPE, SECCOMP, CAPABILITIES, THREADS, DEATH)

_LEFT_OUT = "left out on request"
_BROKEN = 255  # status of a trial that ended otherwise than by an error number
_CLEARING_SECONDS = 5.0
_exit = os._exit  # a program can replace the one in `os`

# Each line: what a program must not be able to do, and the layers of which one is enough to prevent it.
_MINIMUM = (
    ((LIMITS,), "use up the machine"),
    ((DESCRIPTORS,), "talk to the judge through the zygote"),
    ((PRIVILEGES,), "gain rights"),
    ((SECCOMP, NETWORK), "talk to the network"),
    ((MOUNTS, LANDLOCK), "write or read files outside"),
    ((PROCESSES, OWN_USER, SCOPE, SECCOMP), "signal or read the trainer"),
)


@dataclass
class State:
    """What children of this zygote need to know.

    status    layer: "on", or in a line why not
    settings  fields of outcome.Limits
    zygote    process id of the zygote as its children see it: 0 when they are in a PID namespace of their own
    user      whom a child has to become; None when the zygote is that user already, or may not change
    apart     to be called before each fork, so that the child has a PID namespace of its own
    rules     descriptor of Landlock rules that a child lays on itself; None when the zygote has done it
    filter    for seccomp
    kept      descriptors that stay open in a child, for the library's sake
    proc      descriptor of /proc, when there may be strays to look for
    """

    status: dict[str, str]
    settings: dict
    zygote: int
    user: int | None = None
    apart: Callable[[], None] | None = None
    rules: int | None = None
    filter: seccomp.Filter | None = None
    kept: tuple[int, ...] = ()
    proc: int | None = None

    def has(self, name: str) -> bool:
        """Whether a layer is on."""
        return self.status.get(name) == "on"


def missing_minimum(status: dict[str, str]) -> list[str]:
    """What is below the minimum for training, one line each: the layers of which one is needed, and why.

    The minimum: resource limits, descriptors of its own, no new privileges; no network (seccomp or network
    namespace); no files of others (mount namespace or Landlock); no signal to the trainer and no look into its
    memory (PID namespace, own user, Landlock's signal scope, or seccomp). Less than that, and a program that a
    policy has come up with can end the run, change it, or read the answers.
    """
    return [
        f"{' or '.join(names)} (a program could {harm})"
        for names, harm in _MINIMUM
        if not any(status.get(name) == "on" for name in names)
    ]


def left_out(without: frozenset[str]) -> frozenset[str]:
    """Names of layers; "namespaces" stands for all five. Raises ValueError for a name that is none."""
    names = {name for name in without if name != "namespaces"} | set(_NAMESPACES if "namespaces" in without else ())
    unknown = sorted(names - {layer.name for layer in LAYERS})
    if unknown:
        raise ValueError(f"no such layer: {', '.join(unknown)}; there are: {', '.join(layer.name for layer in LAYERS)}")
    return frozenset(names)


def confine_zygote(settings: dict, without: frozenset[str] = frozenset()) -> State:
    """Put on all that can be inherited. For a process with one thread, before it runs any program.

    settings  fields of outcome.Limits; they hold for the life of the zygote
    without   names of layers to leave out
    Returns in another process than it was called in, if there can be a PID namespace: the caller waits
    outside and ends with it. Raises ValueError for an unknown layer.
    """
    state = State(dict.fromkeys(left_out(without), _LEFT_OUT), dict(settings), zygote=os.getpid())
    if sys.platform == "linux":
        _confine_on_linux(state)
    else:
        for name in _LINUX_ONLY:
            state.status.setdefault(name, f"needs Linux; this is {sys.platform}")
    _put_on(state, LIMITS, limits.limit_zygote, state.settings)
    if not state.has(MOUNTS):
        os.chdir("/")  # where the caller works is nobody's business
    for name in (DESCRIPTORS, SESSION):
        state.status.setdefault(name, "on")
    state.status = {layer.name: state.status[layer.name] for layer in LAYERS}
    return state


def _confine_on_linux(state: State) -> None:
    """The order matters. Root builds the new file system before it stops being root, because only root can reach
    a Python that lies in root's home; anybody else needs a user namespace first.
    """
    parent = os.getppid()
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)  # soon out of sight, and still needed
    _put_on(state, PRIVILEGES, limits.no_new_privileges)
    _put_on(state, OWN_USER, _choose_user, state)
    if os.geteuid() == 0:
        _put_on(state, MOUNTS, namespaces.own_mounts)
    if not state.has(MOUNTS):
        _put_on(state, LANDLOCK, _make_rules, state)  # now, as root, who can open closed directories
        if _fails_in_fork(state, lambda: _become_user(state), limits.read_stdlib):
            state.kept = (limits.reach_stdlib_by_descriptor(),)
    _put_on(state, USERS, _enter_user_namespace, state, proc)
    if not state.has(MOUNTS):
        _put_on(state, MOUNTS, namespaces.own_mounts)
    _put_on(state, NETWORK, namespaces.own_network)
    _put_on(state, NAMES, namespaces.own_names)
    _put_on(state, DEATH, limits.die_with_parent)
    if os.getppid() != parent:  # it ended before we asked for its death signal
        _exit(1)
    _put_on(state, PROCESSES, _become_first_process, state, proc)
    if state.has(PROCESSES):
        os.close(proc)
        state.zygote = 0
    else:
        state.proc = proc
        limits.take_orphans()
    limits.hide_memory()
    _put_on(state, THREADS, _limit_threads, state)
    _put_on(state, LANDLOCK, _lay_down_rules, state)
    _put_on(state, SCOPE, _check_scope, state)
    _put_on(state, CAPABILITIES, _try_in_fork, state, "capset", limits.drop_capabilities)
    _put_on(state, SECCOMP, _make_filter, state)


def _put_on(state: State, name: str, action: Callable, *arguments: object) -> None:
    """Do what a layer takes, and write down that it is on or why it is not."""
    if state.status.get(name) == _LEFT_OUT:
        return
    try:
        action(*arguments)
    except (OSError, ValueError) as error:
        state.status[name] = getattr(error, "strerror", None) or str(error)
    else:
        state.status[name] = "on"


def _fails_in_fork(state: State, *actions: Callable) -> int:
    """Try something in a child, so that nothing of it stays: 0, or the number of the error that it ended in."""
    before_fork(state)
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
        raise RuntimeError(f"a trial of the sandbox's layers ended with {code}")
    return code


def _try_in_fork(state: State, what: str, *actions: Callable) -> None:
    """The same; raises the OSError, which says what was tried."""
    code = _fails_in_fork(state, *actions)
    if code:
        raise OSError(code, f"{what}: {os.strerror(code)}")


def _unavailable(reason: str) -> OSError:
    return OSError(errno.ENOTSUP, reason)


def _choose_user(state: State) -> None:
    """Choose the user that programs of this slot are to be; the zygote itself may become it later."""
    if os.geteuid() != 0:
        raise _unavailable("needs root")
    own, shared = limits.users_to_try()
    state.user = shared if _fails_in_fork(state, lambda: limits.become(own)) else own
    try:
        _try_in_fork(state, "setresuid", lambda: _become_user(state))
    except OSError:
        state.user = None
        raise


def _become_user(state: State) -> None:
    if state.user is not None:
        limits.become(state.user)


def _enter_user_namespace(state: State, proc: int) -> None:
    """From here on the zygote itself is the user that its programs are to be."""
    _try_in_fork(state, "unshare", lambda: _become_user(state), namespaces.have_user_namespace)
    _become_user(state)
    state.user = None
    namespaces.own_users(proc)


def _become_first_process(state: State, proc: int) -> None:
    state.apart = namespaces.apart_from(namespaces.become_first_process(proc))


def _limit_threads(state: State) -> None:
    """The limit counts processes and threads of one user in one user namespace: so the zygote too, and the process
    that waits outside, if they are that user.
    """
    if state.has(USERS):
        if os.geteuid() == 0:
            raise _unavailable("the kernel does not limit root")
        ours = 2 if state.has(PROCESSES) else 1
    elif state.user is not None:
        if state.user == limits.NOBODY:
            raise _unavailable(f"user {state.user} is shared with other slots")
        ours = 0
    else:
        raise _unavailable("without a user of its own the kernel would count all processes of the caller's")
    limits.limit_threads(state.settings["threads"] + ours)


def _make_rules(state: State) -> None:
    """Rules for what can be seen now: the new root as a whole, or else Python and its libraries."""
    if state.has(MOUNTS):
        readable, hidden = ["/"], []
    else:
        readable, hidden = [*namespaces.library_paths(), *namespaces.DEVICES], namespaces.package_paths()
    if state.rules is not None:
        os.close(state.rules)
    scoped = state.status.get(SCOPE) != _LEFT_OUT
    state.rules = landlock.ruleset(readable, hidden, writable=["/dev/null"], scoped=scoped)


def _lay_down_rules(state: State) -> None:
    """On the zygote, where its programs are apart from it anyway; otherwise they do it themselves, to be apart."""
    if state.has(MOUNTS) or state.rules is None:
        _make_rules(state)
    if state.has(MOUNTS) and state.has(PROCESSES):
        landlock.restrict(state.rules)
        os.close(state.rules)
        state.rules = None
    else:
        _try_in_fork(state, "landlock_restrict_self", lambda: landlock.restrict(state.rules))


def _check_scope(state: State) -> None:
    if not state.has(LANDLOCK):
        raise _unavailable("needs Landlock")
    if landlock.abi() < landlock.SCOPE_SINCE:
        raise _unavailable(f"kernel has Landlock ABI {landlock.abi()}; it takes {landlock.SCOPE_SINCE}")


def _make_filter(state: State) -> None:
    machine = kernel.machine()
    if not machine:
        raise _unavailable(f"no table of system calls for {os.uname().machine}")
    state.filter = seccomp.Filter(seccomp.program(machine, signals=state.has(PROCESSES)))
    _try_in_fork(state, "prctl", lambda: _drop_rights(state), state.filter.install)


def _drop_rights(state: State) -> None:
    _become_user(state)
    if state.has(CAPABILITIES):
        limits.drop_capabilities()


def before_fork(state: State) -> None:
    """To be called directly before each fork of the zygote. Raises OSError."""
    if state.apart is not None:
        state.apart()


def confine_child(state: State, places: dict[int, int], cpu_seconds: int) -> None:
    """Put on the rest, in a process just forked from the zygote, before it does anything else.

    places       target descriptor: the open one that is to lie there. All others are closed.
    cpu_seconds  of the whole program
    Raises OSError; the process must then end at once.
    """
    if state.has(SESSION):
        os.setsid()
    if state.rules is not None and state.has(LANDLOCK):
        landlock.restrict(state.rules)
    limits.place(places)
    if state.has(DESCRIPTORS):
        limits.close_others({*places, *state.kept})
    _drop_rights(state)
    if state.has(DEATH):
        limits.die_with_parent()  # after the change of user, which undoes it
        if os.getppid() != state.zygote:
            _exit(1)
    if state.has(LIMITS):
        limits.limit_child(state.settings, cpu_seconds)
    if state.has(SECCOMP):
        state.filter.install()  # last: it forbids most of the above


def clear_strays(state: State) -> None:
    """Kill and reap all that a program left behind, its own process having been reaped.

    In a PID namespace there is nothing. Raises RuntimeError when it does not end.
    """
    if state.has(PROCESSES):
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
    """Once: more may have been forked meanwhile."""
    if state.user not in (None, limits.NOBODY):
        code = _fails_in_fork(state, lambda: _become_user(state), lambda: os.kill(-1, signal.SIGKILL))
        if code not in (0, errno.ESRCH):  # all at one stroke, so that none can fork away; or there was none left
            raise OSError(code, f"kill: {os.strerror(code)}")
    elif state.proc is not None:
        fd = os.open(f"self/task/{os.getpid()}/children", os.O_RDONLY, dir_fd=state.proc)
        with open(fd) as file:
            for pid in file.read().split():
                os.kill(int(pid), signal.SIGKILL)
    time.sleep(0.001)
