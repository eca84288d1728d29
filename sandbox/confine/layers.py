"""The layers of confinement: names, protection, and the minimum for training. `python -m sandbox doctor` prints them.

Covered: `missing_minimum` decides whether the layers that are on suffice for training.
Not covered: whether a layer works; tests/sandbox/confine/test_layers.py attacks each.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """One layer: its name (as in `status` and `without`), what it does, and what is not covered without it."""

    name: str
    protects: str
    without_it: str


USERS, MOUNTS, PROCESSES, NETWORK, NAMES = NAMESPACES = (
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
    Layer(USERS, "gives rights to set up the other namespaces, none outside", "namespaces need root"),
    Layer(
        MOUNTS,
        "sees only Python's library and shared libraries, read-only; no /proc, home, /tmp, installed packages",
        "other files are visible; Landlock forbids to open them, but not to see that they exist",
    ),
    Layer(
        PROCESSES,
        "sees, signals and traces only its own processes; all of them end with the first",
        "process ids are visible; only its own user, seccomp and Landlock stop signals",
    ),
    Layer(NETWORK, "no network, not even the machine's loopback", "only seccomp stops sockets"),
    Layer(NAMES, "no shared memory, message queues, host name", "only seccomp stops System V memory"),
    Layer(OWN_USER, "runs as a user that owns nothing", "runs as the caller's user"),
    Layer(PRIVILEGES, "setuid programs give no rights", "setuid programs give rights; no Landlock, no seccomp"),
    Layer(LANDLOCK, "opens no file for writing, makes and removes none", "left to the mount namespace or to seccomp"),
    Layer(SCOPE, "signals no process outside", "left to the PID namespace or to seccomp"),
    Layer(
        SECCOMP,
        "no fork, exec, sockets, tracing, mounts, keys, io_uring, bpf; foreign system call tables kill",
        "the program can make every system call, and use the kernel's faults",
    ),
    Layer(CAPABILITIES, "no special rights, not in its namespaces either", "rights of root in its own namespaces"),
    Layer(LIMITS, "CPU time, memory, output, open files are limited", "one program can use up the machine"),
    Layer(THREADS, "the number of threads is limited", "only memory limits threads, only seccomp processes"),
    Layer(DESCRIPTORS, "inherits no open file except its own four", "reads and writes the zygote's open files"),
    Layer(SESSION, "gets no signals of the caller's process group and terminal", "shares the caller's group"),
    Layer(DEATH, "is killed when the zygote ends", "outlives a killed zygote"),
)
LINUX_ONLY = tuple(layer.name for layer in LAYERS if layer.name not in (LIMITS, DESCRIPTORS, SESSION))

# Each line: layers of which one is enough, and what a program could do without them.
_MINIMUM = (
    ((LIMITS,), "use up the machine"),
    ((DESCRIPTORS,), "talk to the judge through the zygote"),
    ((PRIVILEGES,), "gain rights"),
    ((SECCOMP, NETWORK), "talk to the network"),
    ((MOUNTS, LANDLOCK), "write or read files outside"),
    ((PROCESSES, OWN_USER, SCOPE, SECCOMP), "signal or read the trainer"),
)


def missing_minimum(status: dict[str, str]) -> list[str]:
    """The gaps below the minimum for training: for each the layers of which one is needed, and the harm."""
    return [
        f"{' or '.join(names)} (a program could {harm})"
        for names, harm in _MINIMUM
        if not any(status.get(name) == "on" for name in names)
    ]


def left_out(without: frozenset[str]) -> frozenset[str]:
    """Names of layers; "namespaces" stands for all five. Raises ValueError for an unknown name."""
    names = without - {"namespaces"} | set(NAMESPACES if "namespaces" in without else ())
    unknown = sorted(names - {layer.name for layer in LAYERS})
    if unknown:
        raise ValueError(f"no such layer: {', '.join(unknown)}; there are: {', '.join(layer.name for layer in LAYERS)}")
    return names
