"""The zygote: a small single-threaded Python with the usual modules loaded; forks one child per program.

Started as a script by pool.py, with an empty environment, so nothing of the caller (torch, CUDA, secrets) is
in it. It reads jobs from stdin and answers with reports on stdout (wire.py). Needs Linux 5.3 (pidfd).

Covered (tests in tests/sandbox/test_confinement.py): CPU and wall limits over all forks of a job; children
that leave the session (daemons) are found and killed, because the zygote is their reaper; a process that
holds on to stdout delays nothing, because output goes to a memory file that is read when all are dead; a
closed stdin ends zygote and child.

Not covered: without root, a chain of daemons that fork faster than they are found (the zygote then gives up
and dies, and the pool starts another); daemons of a program that first kills its zygote, which it can without
root.
"""

import gc
import importlib
import os
import select
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import confine  # noqa: E402
import harness  # noqa: E402
import wire  # noqa: E402

del sys.path[0]

# What short programs import; loaded once here instead of once a program.
PRELOAD = """
abc array bisect cmath collections copy dataclasses datetime decimal enum fractions functools heapq
itertools json math operator random re statistics string struct textwrap time types typing unicodedata
"""

_OUTPUT_KEPT = 2000
_RECORD_CAP = 512
_CLEARING_SECONDS = 5.0
# A program can replace os._exit; a child that did not leave would go on as a zygote.
_exit = os._exit


def main() -> None:
    """Serve jobs until stdin is closed."""
    requests, replies = os.dup(0), os.dup(1)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    for name in PRELOAD.split():
        importlib.import_module(name)
    user = confine.prepare_zygote()
    gc.collect()
    gc.freeze()  # children do not touch (and so copy) these objects when they collect
    wire.write_message(replies, {"user": user})
    while (request := wire.read_message(requests)) is not None:
        report = execute(request["job"], request["limits"], user, requests)
        try:
            wire.write_message(replies, report)
        except BrokenPipeError:
            return  # the caller was killed


def execute(job: dict, limits: dict, user: int | None, requests: int) -> dict:
    """Run one job and report what was reported, and what was not.

    A test that takes the process down is a "crash", and a new fork goes on with the next test. Once the time
    is used up nothing more is run: a loop on one test is mostly a loop on all, and loops must stay cheap.
    """
    began = time.perf_counter()
    report = {"parsed": False, "ran": False, "value": False, "error": None, "tests": [], "timed_out": False}
    cpu_left, output = limits["cpu_seconds"], ""
    while True:
        wall_left = began + limits["wall_seconds"] - time.perf_counter()
        records, timed_out, cpu_used, text = _fork_once(
            job, len(report["tests"]), limits, user, requests, cpu_left, wall_left
        )
        output, cpu_left = output + text, cpu_left - cpu_used
        _fold(report, records)
        if report["error"] or len(report["tests"]) == len(job["tests"]):
            break  # told in full
        report["timed_out"] = timed_out
        if not report["ran"]:
            report["error"] = ["Timeout" if timed_out else "Crash", None]
            break
        report["tests"].append(["timeout" if timed_out else "crash", None])
        if timed_out or len(report["tests"]) == len(job["tests"]):
            break
    return report | {"seconds": time.perf_counter() - began, "output": output[:_OUTPUT_KEPT]}


def _fold(report: dict, records: list[list[str]]) -> None:
    """Add one child's records to the report. Tests come in order; anything else is not from our harness."""
    for kind, *rest in records:
        if kind == "error":
            # A later fork that fails where the first did not (a body that depends on time, say) crashed a
            # test.
            if not report["ran"] or rest[0] == "EntryPointMissing":
                report["error"] = [rest[0], int(rest[1]) or None]
        elif kind == "test":
            if int(rest[0]) == len(report["tests"]):
                report["tests"].append([rest[1], int(rest[2]) or None])
        elif kind in ("parsed", "ran", "value"):
            report[kind] = True


def _fork_once(
    job: dict, first: int, limits: dict, user: int | None, requests: int, cpu_left: float, wall_left: float
) -> tuple[list, bool, float, str]:
    """Fork, run the tests from `first` on, clear up. Returns (records, timed out, CPU seconds, output)."""
    # A packet socket: records cannot be cut or joined, and, unlike a pipe, cannot be read back through /proc.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    output = os.memfd_create("output")
    nonce, zygote = os.urandom(8).hex(), os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            confine.confine(limits, user, output, theirs.fileno(), zygote)
            harness.run_job(job, first, nonce)
        finally:
            _exit(0)
    theirs.close()
    inbox = _Inbox(ours, nonce)
    timed_out = _wait(pid, inbox, requests, cpu_left, wall_left)
    _kill_group(pid)
    usage = os.wait4(pid, 0)[2]
    _clear_orphans(user)
    inbox.drain()
    ours.close()
    text = os.pread(output, _OUTPUT_KEPT, 0).decode("utf-8", "replace")
    os.close(output)
    cpu_used = usage.ru_utime + usage.ru_stime
    return inbox.records, timed_out or cpu_used >= cpu_left, cpu_used, text


class _Inbox:
    """The records that have come from one child; packets without its nonce are dropped."""

    def __init__(self, socket_: socket.socket, nonce: str) -> None:
        self.socket, self.mark = socket_, nonce.encode("ascii") + b" "
        self.records: list[list[str]] = []

    def drain(self, most: int = sys.maxsize) -> bool:
        """Take what has come, at most `most` packets; False when the other end is closed."""
        for _ in range(most):
            try:
                packet = self.socket.recv(_RECORD_CAP, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            if not packet:
                return False
            if packet.startswith(self.mark):
                self.records.append(packet[len(self.mark) :].decode("ascii").split(" "))
        return True


def _wait(pid: int, inbox: _Inbox, requests: int, cpu_left: float, wall_left: float) -> bool:
    """Wait until the child ends or its time is up; True for the latter. Collects its records meanwhile.

    When the caller hangs up, time is up at once.
    """
    pidfd = os.pidfd_open(pid)
    deadline = time.perf_counter() + wall_left
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    poller.register(inbox.socket, select.POLLIN)
    poller.register(requests, 0)  # nothing but hang-up
    try:
        pause = min(cpu_left, wall_left)
        while True:
            ready = dict(poller.poll(max(1.0, pause * 1000)))
            if requests in ready:
                return True
            if pidfd in ready:
                return False
            if inbox.socket.fileno() in ready and not inbox.drain(most=64):
                poller.unregister(inbox.socket)  # closed by the program; it can report nothing more
            pause = min(cpu_left - time.clock_gettime(_cpu_clock(pid)), deadline - time.perf_counter())
            if pause <= 0:
                return True
    finally:
        os.close(pidfd)


def _cpu_clock(pid: int) -> int:
    """The kernel's clock id for the CPU time of a process (clock_getcpuclockid(3))."""
    return (~pid << 3) | 2


def _kill_group(pid: int) -> None:
    """Kill a child that is not reaped yet, and its process group (if it has made one)."""
    os.kill(pid, signal.SIGKILL)
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _clear_orphans(user: int | None) -> None:
    """Kill and reap all that the program left behind. Raises RuntimeError when that does not end."""
    until = time.monotonic() + _CLEARING_SECONDS
    while time.monotonic() < until:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                _kill_children(user)
        except ChildProcessError:
            return  # none left
    raise RuntimeError("a program forks faster than it can be killed")


def _kill_children(user: int | None) -> None:
    if user is not None:
        _sweep(user)
        return
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        for pid in file.read().split():
            os.kill(int(pid), signal.SIGKILL)
    time.sleep(0.001)


def _sweep(user: int) -> None:
    """Kill all processes of the slot's user at one stroke, so that none can fork away meanwhile."""
    pid = os.fork()
    if pid == 0:
        try:
            confine.become(user)
            os.kill(-1, signal.SIGKILL)
        finally:
            _exit(0)
    os.waitpid(pid, 0)
    time.sleep(0.001)


if __name__ == "__main__":
    main()
