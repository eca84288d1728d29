"""Files, network and signals once more, by Landlock: rules that a process lays on itself and cannot take off.

Covered (tests in test_layers.py): no file can be written, made, removed or truncated (but /dev/null
written to), and only those below given directories be read; from Landlock ABI 4 on no TCP connection and no TCP port;
from ABI 6 on no signal to a process outside and no abstract socket of one.
Not covered: whether a file exists, its size and times (`stat`), names of files below the given directories; changing
the mode, owner or times of the user's own files; UDP and other sockets. Namespaces and seccomp see to those.
With a mount namespace it is set once, in the zygote, for the whole of the new root, and costs a program nothing.
Without, it is set in each child and costs 0.12 ms a program, because the kernel copies all rules for each; and
a program can then read only where Python and its libraries are, and still see which other files exist.
"""

import os
import struct

from sandbox.confine import kernel

_RULESET_VERSION, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_TCP_BIND_AND_CONNECT = 3
_ABSTRACT_SOCKETS_AND_SIGNALS = 3
SCOPE_SINCE = 6

# ABI: how many rights on files it knows, one bit each. Newer ones know at least as many.
_FILE_RIGHTS = ((5, 16), (3, 15), (2, 14), (1, 13))


def abi() -> int:
    """The version of Landlock that the kernel speaks, 1 or more. Raises OSError when it has none."""
    return kernel.syscall("landlock_create_ruleset", None, 0, _RULESET_VERSION)


def ruleset(readable: list[str], hidden: list[str], writable: list[str], scoped: bool) -> int:
    """Rules that refuse all that this kernel can refuse, as a descriptor for `restrict`.

    readable  files and directories that may be read, with all below them
    hidden    directories below those that may not
    writable  files that may be read and written
    scoped    also refuse signals and abstract sockets, where the kernel can
    Raises OSError.
    """
    version = abi()
    rights = (1 << next(count for since, count in _FILE_RIGHTS if version >= since)) - 1
    attributes = struct.pack("=Q", rights)
    if version >= 4:
        attributes += struct.pack("=Q", _TCP_BIND_AND_CONNECT)
    if scoped and version >= SCOPE_SINCE:
        attributes += struct.pack("=Q", _ABSTRACT_SOCKETS_AND_SIGNALS)
    rules = kernel.syscall("landlock_create_ruleset", attributes, len(attributes), 0)
    for path in readable:
        _allow_around(rules, os.path.realpath(path), hidden)
    for path in writable:
        _allow(rules, path, _READ_FILE | _WRITE_FILE)
    return rules


def restrict(rules: int) -> None:
    """From here on, for this process and all it starts, for good. Needs no_new_privs. Raises OSError."""
    kernel.syscall("landlock_restrict_self", rules, 0)


def _allow_around(rules: int, path: str, hidden: list[str]) -> None:
    """Allow to read `path` and all below it but what is hidden. Rules can only add: so step around it."""
    if not any(place == path or place.startswith(path.rstrip("/") + "/") for place in hidden):
        _allow(rules, path, _READ)
    elif path not in hidden:
        _allow(rules, path, _READ_DIR)
        for entry in sorted(os.listdir(path)):
            below = f"{path.rstrip('/')}/{entry}"
            if not os.path.islink(below):  # what it leads to has its own rule, or none
                _allow_around(rules, below, hidden)


def _allow(rules: int, path: str, rights: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not os.path.isdir(path):
            rights &= _EXECUTE | _WRITE_FILE | _READ_FILE  # the kernel refuses a rule for a file with more
        rule = struct.pack("=Qi", rights, fd)
        kernel.syscall("landlock_add_rule", rules, _PATH_BENEATH, rule, 0)
    finally:
        os.close(fd)
