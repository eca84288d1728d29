"""Landlock: rules on files, TCP and signals that a process puts on itself and cannot take off.

Covered (tests in tests/sandbox/confine/test_layers.py): no file can be written, made, removed or truncated (except
writing to /dev/null); only files below given directories can be read. From ABI 4 on: no TCP connection or port. From
ABI 6 on: no signal to a process outside and no abstract socket of one.
Not covered: whether a file exists, its size and times (`stat`), names of files below the given directories; changes of
mode, owner or times of the user's own files; UDP and other sockets. Namespaces and seccomp cover those.
With a mount namespace the zygote sets the rules once, for the whole new root. Without one each child sets them, for
Python and its libraries, in 0.12 ms (the kernel copies all rules).
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

# (ABI version, number of file rights that it has, one bit each). Newer ones have at least as many.
_FILE_RIGHTS = ((5, 16), (3, 15), (2, 14), (1, 13))


def abi() -> int:
    """The kernel's version of Landlock, 1 or more. Raises OSError when it has none."""
    return kernel.call("landlock_create_ruleset", None, 0, _RULESET_VERSION)


def ruleset(readable: list[str], hidden: list[str], writable: list[str], scoped: bool) -> int:
    """Make rules that refuse all that this kernel can refuse. Returns a descriptor for `restrict`. Raises OSError.

    readable  files and directories that may be read, with all below them except `hidden` directories
    writable  files that may be read and written
    scoped    also refuse signals and abstract sockets, where the kernel can
    """
    version = abi()
    rights = (1 << next(count for since, count in _FILE_RIGHTS if version >= since)) - 1
    attributes = struct.pack("=Q", rights)
    if version >= 4:
        attributes += struct.pack("=Q", _TCP_BIND_AND_CONNECT)
    if scoped and version >= SCOPE_SINCE:
        attributes += struct.pack("=Q", _ABSTRACT_SOCKETS_AND_SIGNALS)
    rules = kernel.call("landlock_create_ruleset", attributes, len(attributes), 0)
    for path in readable:
        _allow_around(rules, os.path.realpath(path), hidden)
    for path in writable:
        _allow(rules, path, _READ_FILE | _WRITE_FILE)
    return rules


def restrict(rules: int) -> None:
    """Put the rules on this process and all that it starts, for good. Needs no_new_privs. Raises OSError."""
    kernel.call("landlock_restrict_self", rules, 0)


def _allow_around(rules: int, path: str, hidden: list[str]) -> None:
    """Allow to read `path` and all below it except hidden directories. A rule can only allow: allow their siblings."""
    if not any(place == path or place.startswith(path.rstrip("/") + "/") for place in hidden):
        _allow(rules, path, _READ)
    elif path not in hidden:
        _allow(rules, path, _READ_DIR)
        for entry in sorted(os.listdir(path)):
            below = f"{path.rstrip('/')}/{entry}"
            if not os.path.islink(below):  # its target has its own rule, or none
                _allow_around(rules, below, hidden)


def _allow(rules: int, path: str, rights: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not os.path.isdir(path):
            rights &= _EXECUTE | _WRITE_FILE | _READ_FILE  # the kernel refuses other rights in a rule for a file
        rule = struct.pack("=Qi", rights, fd)
        kernel.call("landlock_add_rule", rules, _PATH_BENEATH, rule, 0)
    finally:
        os.close(fd)
