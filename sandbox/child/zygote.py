"""The zygote: a small Python with one thread and the usual modules loaded; forks one child per program.

The judge starts it. It confines itself once (confine/confinement.py), then obeys the judge over a socket:

    > b"C0 10" with descriptors   fork a child. Numbers: lines to mark (0: none), CPU seconds in all. Descriptors: its
                                  socket to the judge, stdin, stdout, stderr and, to mark lines, the file for them
    > b"K" or b"W"                kill and reap the child and all that it left; W: first wait a moment for its end
    < status, CPU seconds, peak memory      answer to K and W (wire.REPORT)

Covered: it holds no secret and no test, and reads no byte that a program wrote. Nothing of a program survives K. When
the judge dies, the zygote and all its children die.
Not covered: what a program may do with and without each layer; see confine/.
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
from sandbox.child import program
from sandbox.confine import confinement

_MAX_DESCRIPTORS = 5
_MOMENT_SECONDS = 0.2
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes
_exit = os._exit  # a program can replace the one in `os`, and a child must never go on as a zygote


def main() -> None:
    """Serve until the judge hangs up. The argument: limits and layers to leave out, as JSON text."""
    settings = json.loads(sys.argv[2])
    control = socket.socket(fileno=os.dup(0))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    sys.dont_write_bytecode = True
    program.preload()
    state = confinement.confine_zygote(settings["limits"], frozenset(settings["without"]))
    program.clean_up()
    gc.collect()
    gc.freeze()  # garbage collection in a child then touches (and copies) none of these objects
    control.sendall(json.dumps(state.status).encode("ascii"))
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 32, _MAX_DESCRIPTORS)
        if not message:
            return
        control.sendall(_run_child(message, descriptors, control, state))


def _run_child(message: bytes, descriptors: list[int], control: socket.socket, state: confinement.State) -> bytes:
    gc.collect()  # every child starts from the same heap: the order of a set of objects depends on addresses
    state.before_fork()
    pid = os.fork()
    if pid == 0:
        try:
            _be_child(message, descriptors, state)
        except BaseException:  # ours; the program's own are caught where it runs
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
    confinement.clear_strays(state)
    return wire.REPORT.pack(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _RSS_UNIT)


def _be_child(message: bytes, descriptors: list[int], state: confinement.State) -> None:
    targets = (program.JUDGE_FD, 0, 1, 2, program.LINES_FD)
    line_count, cpu_seconds = map(int, message[1:].split())
    confinement.confine_child(state, dict(zip(targets, descriptors, strict=False)), cpu_seconds)
    program.serve(state.settings["reply_bytes"], line_count)
    program.flush()
    _exit(0)


def _wait_a_moment(pid: int) -> None:
    """Wait for the end of a child that has hung up, to get its own status instead of our SIGKILL."""
    if not hasattr(os, "pidfd_open"):  # not Linux
        time.sleep(_MOMENT_SECONDS)
        return
    pidfd = os.pidfd_open(pid)
    select.select([pidfd], [], [], _MOMENT_SECONDS)
    os.close(pidfd)
