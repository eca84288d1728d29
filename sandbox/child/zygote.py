"""The zygote: a small single-threaded Python with the usual modules loaded; forks one child per program.

Started by the judge. It confines itself once (layers.py), then does what the judge says on a socket:

    > b"C0 10" with descriptors   fork a child; the descriptors are its socket to the judge, its stdin, stdout, stderr
                              and, if lines are wanted, the file for them, in this order; the numbers are these
                              lines (0: none wanted), and the seconds of CPU time that it may use in all
    > b"K" or b"W"            kill and reap it, and all that it left; W: it is about to end by itself, wait a moment
    < status, CPU seconds, peak memory      answer to K and W (wire.REPORT)

Covered: it holds no secret and no test, and reads no byte that a program wrote, so there is nothing to steal from it
or to tell it. Nothing of a program survives K. When the judge dies, the zygote dies, and all with it.
Not covered: see layers.py for what a program may still do, with each layer and without.
"""

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import time
import traceback

from sandbox import wire
from sandbox.child import program as child
from sandbox.confine import layers

_MAX_DESCRIPTORS = 5
_MOMENT_SECONDS = 0.2
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes
_exit = os._exit  # a program can replace the one in `os`; a child that did not leave would go on as a zygote


def main() -> None:
    """Serve until the judge hangs up. The arguments: limits and layers to leave out, as one JSON text."""
    settings = json.loads(sys.argv[2])
    control = socket.socket(fileno=os.dup(0))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    sys.dont_write_bytecode = True
    child.preload()
    state = layers.confine_zygote(settings["limits"], frozenset(settings["without"]))
    child.make_room()
    gc.collect()
    gc.freeze()  # children do not touch (and so do not copy) these objects when they collect
    control.sendall(json.dumps(state.status).encode("ascii"))
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 32, _MAX_DESCRIPTORS)
        if not message:
            return
        control.sendall(_run_child(message, descriptors, control, settings["limits"]["reply_bytes"], state))


def _run_child(message: bytes, descriptors: list[int], control: socket.socket, reply_cap: int, state) -> bytes:
    gc.collect()  # so that every child starts from the same heap: the order of a set of objects hangs on addresses
    layers.before_fork(state)
    pid = os.fork()
    if pid == 0:
        try:
            _be_child(message, descriptors, reply_cap, state)
        except BaseException:  # of ours: the program's own are caught where it runs
            traceback.print_exc()
        finally:
            _exit(1)
    for descriptor in descriptors:
        os.close(descriptor)
    order = control.recv(32)
    if order == b"W":
        _wait_a_moment(pid)
    os.kill(pid, signal.SIGKILL)
    if not order:  # the judge is gone
        _exit(0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    layers.clear_strays(state)
    return wire.REPORT.pack(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _RSS_UNIT)


def _be_child(message: bytes, descriptors: list[int], reply_cap: int, state) -> None:
    judge, stdin, stdout, stderr, *lines = descriptors
    line_count, cpu_seconds = map(int, message[1:].split())
    places = {0: stdin, 1: stdout, 2: stderr, child.JUDGE_FD: judge}
    if lines:
        places[child.LINES_FD] = lines[0]
    layers.confine_child(state, places, cpu_seconds)
    child.serve(reply_cap, line_count)
    child.flush()
    _exit(0)


def _wait_a_moment(pid: int) -> None:
    """Until the child, which has hung up, has ended: its own status tells more than our SIGKILL."""
    if not hasattr(os, "pidfd_open"):  # not Linux
        time.sleep(_MOMENT_SECONDS)
        return
    pidfd = os.pidfd_open(pid)
    select.select([pidfd], [], [], _MOMENT_SECONDS)
    os.close(pidfd)
