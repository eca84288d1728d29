"""One task on trial: the zygote that makes its processes, what is known of it so far, one process of its program.

Covered: nothing waits for the zygote for ever; a child is ended, reaped, and its cost and output are taken down,
however it ends; what a child says of its own failure is checked for its form.
Not covered: whether it says the truth.
"""

import contextlib
import json
import math
import os
import signal
import socket
import struct
import subprocess  # nosec B404
import tempfile
import time

from sandbox import wire
from sandbox.confine import kernel
from sandbox.judge.remote import Gone, Link, new_nonce, proper_name
from sandbox.outcome import Limits, Task, Verdict
from sandbox.start import command

OUTPUT_KEPT = 2000  # bytes of output in an Outcome
_START_SECONDS, _ANSWER_SECONDS = 30.0, 10.0  # the zygote's
_ADDR_NO_RANDOMIZE = 0x0040000


class SlotBroken(Exception):
    """The zygote is gone, or does not do what it should: the end of this slot."""


class Zygote:
    """The zygote that this judge has started, and what to say to it."""

    def __init__(self, settings: dict) -> None:
        ours, theirs = socket.socketpair()
        # Fixed addresses, for the zygote's exec: the order of a set of objects depends on them. Where it is refused
        # (some containers, other systems) only programs that look at addresses notice.
        with contextlib.suppress(OSError):
            kernel.call("personality", _ADDR_NO_RANDOMIZE)
        # A fixed command, this project's own script, no shell.
        arguments = command("zygote", json.dumps(settings))
        self.process = subprocess.Popen(arguments, stdin=theirs, stdout=subprocess.DEVNULL)  # nosec B603
        theirs.close()
        self.control = ours
        self._set_patience(_START_SECONDS)
        self.status: dict[str, str] = json.loads(self._hear())
        self._set_patience(_ANSWER_SECONDS)

    def _set_patience(self, seconds: float) -> None:
        """The kernel's own deadline for each message: cheaper than Python's, which asks the kernel twice."""
        self.control.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", int(seconds), 0))

    def _hear(self) -> bytes:
        """One message. Raises SlotBroken when the zygote is gone or stuck."""
        try:
            message = self.control.recv(1 << 16)
        except OSError as error:
            raise SlotBroken(f"the zygote does not answer: {error}") from None
        if not message:
            raise SlotBroken("the zygote has ended")
        return message

    def end(self) -> None:
        """Hang up, and wait: who reaps it if not we?"""
        self.control.close()
        self.process.wait()

    def start_child(self, descriptors: list[int], line_count: int, cpu_seconds: float) -> None:
        order = b"C%d %d" % (line_count, math.ceil(cpu_seconds))
        try:
            socket.send_fds(self.control, [order], descriptors)
        except OSError as error:
            raise SlotBroken(f"the zygote has ended: {error}") from None

    def end_child(self, has_hung_up: bool) -> tuple[int, float, int]:
        """Kill and reap. Returns (exit code or -signal, CPU seconds, peak bytes)."""
        try:
            self.control.sendall(b"W" if has_hung_up else b"K")
        except OSError as error:
            raise SlotBroken(f"the zygote has ended: {error}") from None
        status, cpu_seconds, peak_bytes = wire.REPORT.unpack(self._hear())
        return os.waitstatus_to_exitcode(status), cpu_seconds, peak_bytes


class Record:
    """What is known of the task at hand; becomes the Outcome."""

    def __init__(self, task: Task, limits: Limits, zygote: Zygote) -> None:
        self.task, self.limits, self.zygote = task, limits, zygote
        self.began = time.monotonic()
        self.parsed = self.ran = self.value = False
        self.failure: Verdict | None = None  # why no test could be run at all
        self.verdicts: list[Verdict] = []
        self.timeout = self.signal = self.exit_code = self.tamper = None
        self.cpu_seconds, self.peak_bytes = 0.0, 0
        self.output, self.output_bytes = "", 0
        self.lines: set[int] = set()
        self.line_count = task.program.count("\n") + task.program.count("\r") + 1 if task.want_lines else 0

    def budget(self) -> tuple[float, float]:
        """(CPU seconds, elapsed seconds) left for all that is still to come."""
        elapsed = time.monotonic() - self.began
        return self.limits.program_cpu_seconds - self.cpu_seconds, self.limits.program_wall_seconds - elapsed

    def exhausted(self) -> bool:
        return min(self.budget()) <= 0 or self.tamper is not None


class Child:
    """One child process: the link to it, its memory files, and what is left when it has ended."""

    def __init__(self, record: Record, stdin: str | None) -> None:
        self.record = record
        self.link, theirs = Link.pair(record.limits, record.budget())
        self.out = _memory_file()
        # Calls: one file for both, so that lines stand in order. Cases: what is compared is stdout alone.
        self.err = _memory_file() if stdin is not None else self.out
        self.marks = _memory_file() if record.line_count else None
        stdin_fd = _memory_file(stdin) if stdin is not None else 0
        descriptors = [theirs.fileno(), stdin_fd, self.out, self.err]
        if self.marks is not None:
            os.ftruncate(self.marks, record.line_count + 1)
            descriptors.append(self.marks)
        record.zygote.start_child(descriptors, record.line_count, record.limits.program_cpu_seconds)
        theirs.close()
        if stdin is not None:
            os.close(stdin_fd)
        self.is_script = stdin is not None

    def hand_over(self, names: list[str]) -> str:
        """Give the child the program and, to be read when its body has run, what is asked of it. Returns the nonce."""
        nonce, task = new_nonce(), self.record.task
        self.link.send([task.program, self.is_script, task.support], [nonce, names])
        return nonce

    def hear_start(self) -> None:
        """Wait for the compiler's word. Raises Gone when the child ends first."""
        message = self.link.hear_first()
        if message[0] == "syntax":
            self.record.failure = failure_of(message)
            raise Gone("failed")
        self.record.parsed = True

    def take_lines(self) -> tuple[int, ...] | None:
        """Lines marked since the last call; None when nobody asked."""
        if self.marks is None:
            return None
        marks = os.pread(self.marks, self.record.line_count + 1, 0)
        os.pwrite(self.marks, bytes(len(marks)), 0)
        lines = tuple(number for number, mark in enumerate(marks) if mark)
        self.record.lines.update(lines)
        return lines

    def end(self) -> tuple[int, str]:
        """End it, add up what it cost, read what it printed. Returns (exit code or -signal, stdout)."""
        status, cpu_seconds, peak_bytes = self.record.zygote.end_child(has_hung_up=self.link.ended == "crash")
        self.record.cpu_seconds += cpu_seconds
        self.record.peak_bytes = max(self.record.peak_bytes, peak_bytes)
        self.record.timeout = self.record.timeout or self.link.timeout
        self.record.tamper = self.record.tamper or self.link.tamper
        if status == -signal.SIGSYS:
            self.record.tamper = self.record.tamper or "a system call of a foreign kind (SIGSYS)"
        if self.link.ended == "crash":
            self._note_status(status)
        self.take_lines()
        self.link.close()
        return status, self._read_output()

    def _note_status(self, status: int) -> None:
        if not self.record.signal and not self.record.exit_code:
            if status < 0:
                self.record.signal = _SIGNAL_NAMES.get(-status, f"signal {-status}")
            else:
                self.record.exit_code = status

    def _read_output(self) -> str:
        self.record.output_bytes = os.fstat(self.out).st_size
        size = self.record.limits.output_bytes if self.is_script else OUTPUT_KEPT
        printed = os.pread(self.out, size, 0).decode("utf-8", "replace")
        for descriptor in {self.out, self.err, self.marks} - {None}:
            os.close(descriptor)
        return printed


_SIGNAL_NAMES = {int(number): number.name for number in signal.Signals}


def _memory_file(text: str = "") -> int:
    """A new file without a name, to be read from its beginning. Returns its descriptor."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("sandbox")
    else:
        descriptor, name = tempfile.mkstemp()
        os.unlink(name)
    if text:
        wire.write_bytes(descriptor, text.encode("utf-8", "surrogatepass"))
        os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def failure_of(message: list) -> Verdict:
    """A Verdict from [word, type name, line, column, ...] as the child tells it."""
    match message:
        case [_, str(error_type), (int() | None) as line, (int() | None) as column, *_]:
            return Verdict("error", proper_name(error_type), line=line, column=column)
    return Verdict("error", "Exception")  # the program's own idea of such a message
