"""The execution of one task: its results so far (Execution), one child process (Child), the socket to it (Link).

A test `assert f(3) == 10` runs in the judge, where `f` is a Remote: the call travels as [nonce, "call", handle,
arguments], the reply as [nonce, "value", 10], and the judge computes `==`.

Covered: a reply counts only with the nonce of its call, in the form that child/program.py sends, below the cap of
bytes; anything else, even one byte too many, is tampering and ends the task. Every wait has a deadline in the child's
CPU time and in elapsed time. Only harmless built-in exceptions are raised as themselves (for a test's `except
ValueError`), never AssertionError, StopIteration or SystemExit. Every child is reaped, its cost and output noted.
Not covered: whether a child reports its own failures truthfully.
"""

import json
import os
import reprlib
import select
import signal
import socket
import struct
import tempfile
import time

from sandbox import wire
from sandbox.judge.remote import Remote, plain_remote
from sandbox.outcome import Limits, Task, Verdict

OUTPUT_KEPT = 2000  # bytes of output in an Outcome
# Exceptions that a test may expect. All take one message and have no effect of their own.
_RAISED_AS_THEMSELVES = {
    kind.__name__: kind
    for kind in (
        *(ArithmeticError, AttributeError, BufferError, EOFError, FloatingPointError, ImportError, IndexError),
        *(KeyError, LookupError, MemoryError, ModuleNotFoundError, NameError, NotImplementedError, OSError),
        *(OverflowError, RecursionError, RuntimeError, TypeError, UnboundLocalError, ValueError, ZeroDivisionError),
        *(PermissionError, FileNotFoundError, TimeoutError),
    )
}
_SO_PASSCRED = getattr(socket, "SO_PASSCRED", None)  # Linux only; elsewhere only elapsed time is limited
_CREDENTIALS = struct.Struct("3i")  # struct ucred: process, user, group
_MOST_QUESTIONS = 10_000  # in one test; ends an endless generator in `list(f(x))` before the judge's clock does
_ENVELOPE_BYTES = 4096  # of a reply, around its value: the nonce and the words


class Gone(BaseException):
    """The child has ended, hangs or tampered. Not an Exception: `except Exception` of a test must not catch it."""


class ProgramError(Exception):
    """An exception of the program that is not raised here as itself."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class Execution:
    """The results of one task so far; main.py makes the Outcome. `zygote` is a forks.Zygote."""

    def __init__(self, task: Task, limits: Limits, zygote) -> None:
        self.task, self.limits, self.zygote = task, limits, zygote
        self.began = time.monotonic()
        self.parsed = self.ran = self.has_value = False
        self.failure: Verdict | None = None  # why no test could be run at all
        self.verdicts: list[Verdict] = []
        self.timeout = self.signal = self.exit_code = self.tamper = None
        self.cpu_seconds, self.peak_bytes = 0.0, 0
        self.output, self.output_bytes = "", 0
        self.lines: set[int] = set()
        self.line_count = task.program.count("\n") + task.program.count("\r") + 1 if task.want_lines else 0

    def budget(self) -> tuple[float, float]:
        """(CPU seconds, elapsed seconds) left for the rest of the task."""
        elapsed = time.monotonic() - self.began
        return self.limits.program_cpu_seconds - self.cpu_seconds, self.limits.program_wall_seconds - elapsed

    def exhausted(self) -> bool:
        return min(self.budget()) <= 0 or self.tamper is not None


class Link:
    """The socket to one child, with the clocks of one test."""

    def __init__(self, channel: socket.socket, limits: Limits, budget: tuple[float, float]) -> None:
        self.channel, self.limits = channel, limits
        self.frames = wire.Frames(limits.reply_bytes + _ENVELOPE_BYTES)
        self._read = wire.reader(self._remote)
        self.ended: str | None = None  # why the child answers no more: "timeout", "crash", "tamper"
        self.timeout: str | None = None  # "cpu" or "wall"
        self.tamper: str | None = None  # what was wrong
        self._raised: BaseException | None = None
        self._place: tuple[int | None, int | None] = (None, None)
        # With the first message the kernel tells the child's process id.
        self._ancillary_bytes = socket.CMSG_SPACE(_CREDENTIALS.size) if _SO_PASSCRED is not None else 0
        self._clock_id: int | None = None
        channel.setblocking(False)
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(channel, select.POLLIN)
        self._writable.register(channel, select.POLLOUT)
        # Limits on the child's own clock of CPU time, and moments on time.monotonic.
        self._program_cpu, self._program_until = budget[0], time.monotonic() + budget[1]
        self.begin_test()

    def begin_test(self) -> None:
        """Set the clocks of one more test: the program's, within its whole time, and the judge's (CPU time).

        When the judge's clock ends, the kernel kills this process (SIGPROF, no handler), even inside one long
        instruction such as building a set of colliding numbers.
        """
        signal.setitimer(signal.ITIMER_PROF, self.limits.judge_cpu_seconds)
        self.last_value, self.has_returned, self.returned_value = None, False, False
        self._questions = 0
        now, used = time.monotonic(), self._cpu_seconds()
        self._test_cpu = min(used + self.limits.test_cpu_seconds, self._program_cpu)
        self._test_until = min(now + self.limits.test_wall_seconds, self._program_until)
        self._look_at = now + self._test_cpu - used

    def _cpu_seconds(self) -> float:
        """CPU time of the child; 0 before its first message (only elapsed time limits compiling) or without an id."""
        if self._clock_id is None:
            return 0.0
        try:
            return time.clock_gettime(self._clock_id)
        except OSError:  # the zygote was killed, and the child with it: the next read reports the end
            return 0.0

    def _wait(self, poll: select.poll) -> None:
        """Wait until the socket is ready. Raises Gone at a limit.

        CPU time is read only when it can have run out for one thread; several threads are noticed later.
        """
        while True:
            now = time.monotonic()
            if now >= self._look_at:
                cpu_left = self._test_cpu - self._cpu_seconds()
                if cpu_left <= 0:
                    raise self._time_out("cpu")
                self._look_at = now + cpu_left
            if now >= self._test_until:
                raise self._time_out("wall")
            if poll.poll(1 + 1000 * (min(self._look_at, self._test_until) - now)):
                return

    def send(self, *messages: object) -> None:
        """Send frames. Raises Gone when the child does not take them in time.

        If the child has ended, the next read reports it, after the reason that the child may have sent.
        """
        data = memoryview(b"".join(map(wire.pack, messages)))
        while data:
            try:
                data = data[self.channel.send(data) :]
            except BlockingIOError:
                self._wait(self._writable)
            except (BrokenPipeError, ConnectionResetError):
                return

    def _receive(self) -> bytes:
        """The body of the next frame."""
        while True:
            try:
                body = self.frames.next()
            except wire.Malformed as error:
                raise self._tamper(str(error)) from None
            if body is not None:
                return body
            self._wait(self._readable)  # each time, so that a reply byte by byte cannot avoid the clock
            try:
                part, ancillary, _, _ = self.channel.recvmsg(1 << 16, self._ancillary_bytes)
            except ConnectionResetError:
                part = b""
            if not part:
                raise self._end("crash")
            if ancillary:  # of the first message, which the child sends before the program's first instruction
                pid = _CREDENTIALS.unpack(ancillary[0][2])[0]
                self._clock_id = (~pid << 3) | 2 if pid else None  # clock_getcpuclockid(3)
            self._ancillary_bytes = 0
            self.frames.feed(part)

    def hear(self) -> list:
        """The next message: a list that begins with a word."""
        try:
            message = self._read(self._receive())
        except wire.Malformed as error:
            raise self._tamper(str(error)) from None
        except wire.NotPlain:
            return ["not plain"]
        if type(message) is not list or not message or type(message[0]) is not str:
            raise self._tamper("a message that is no list")
        return message

    def hear_handles(self, nonce: str, count: int) -> list:
        """A callable or None for each name; or ["failed", type, line, column, status]."""
        message = self.hear()
        if message[0] == "failed" and len(message) == 5:
            return message
        if len(message) != 2 or message[0] != nonce or type(message[1]) is not list:
            raise self._tamper("an answer without its nonce")
        found = message[1]
        if len(found) != count or not all(x is None or callable(x) for x in found):
            raise self._tamper("an answer of another form than the question")
        return found

    def hear_end(self) -> None:
        """Wait until the child hangs up. Always raises Gone."""
        while True:
            self._receive()

    def ask(self, operation: str, handle: int, *arguments: object) -> object:
        """Do one operation on an object of the child. Returns its value or raises its exception."""
        if self.ended:
            raise Gone(self.ended)
        if self.frames.buffer:
            raise self._tamper("bytes that nobody asked for")
        self._questions += 1
        if self._questions > _MOST_QUESTIONS:
            raise self._remember(ProgramError("ReplyTooLarge", ""))
        nonce = os.urandom(8).hex()
        plain = [wire.to_plain(argument, plain_remote) for argument in arguments]
        self.send([nonce, operation, {"handle": [handle, ""]}, *plain])
        return self._value_of(self.hear(), nonce, operation)

    def _value_of(self, message: list, nonce: str, operation: str) -> object:
        match message:
            case ["not plain"]:  # from `hear`; forging it gains nothing
                raise self._remember(ProgramError("NotPlainData", ""))
            case [str(echo), *_] if echo != nonce:
                raise self._tamper("an answer without its nonce")
            case [_, "value", value]:
                return value
            case [_, "stop"] if operation == "next":  # after others it would end a loop of the test
                raise StopIteration
            case [_, "raised", str(name), str(text), (int() | None) as line, (int() | None) as column]:
                kind = _RAISED_AS_THEMSELVES.get(name)
                error = ProgramError(_proper_name(name), text) if kind is None else kind(text)
                raise self._remember(error, line, column)
            case [_, "too large"]:
                raise self._remember(ProgramError("ReplyTooLarge", ""))
            case [_, "not plain"]:
                raise self._remember(ProgramError("NotPlainData", ""))
        raise self._tamper("an answer of another form than the question")

    def _remote(self, number: object, name: object) -> Remote:
        if type(number) is not int or type(name) is not str or not (name == "" or name.isidentifier()):
            raise wire.Malformed("a handle of another form")
        return Remote(self, number, name)

    def _time_out(self, clock: str) -> Gone:
        self.timeout = clock
        return self._end("timeout")

    def _tamper(self, reason: str) -> Gone:
        self.tamper = self.tamper or reason
        return self._end("tamper")

    def _end(self, word: str) -> Gone:
        self.ended = self.ended or word
        return Gone(word)

    def _remember(self, error: BaseException, line: int | None = None, column: int | None = None) -> BaseException:
        self._raised, self._place = error, (line, column)
        return error

    def verdict_of(self, error: BaseException) -> Verdict:
        """The Verdict on a test that raised this, with the place in the program if the program raised it."""
        name = error.name if isinstance(error, ProgramError) else type(error).__name__
        line, column = self._place if error is self._raised else (None, None)
        return Verdict("error", name, line=line, column=column)

    def note(self, value: object) -> object:
        """Keep what a call has returned, for the Verdict."""
        self.last_value, self.has_returned = value, True
        self.returned_value = self.returned_value or value is not None
        return value

    def returned(self) -> str | None:
        """The last returned value as JSON text; None without a call, or if it is nested too deep."""
        try:
            return json.dumps(wire.to_plain(self.last_value, plain_remote)) if self.has_returned else None
        except RecursionError:  # no honest program's: the child recurses less deep
            return None


class Child:
    """One child process: its link and memory files."""

    def __init__(self, execution: Execution, stdin: str | None) -> None:
        self.execution, self.is_script = execution, stdin is not None
        ours, theirs = socket.socketpair()
        if _SO_PASSCRED is not None:
            ours.setsockopt(socket.SOL_SOCKET, _SO_PASSCRED, 1)
        self.link = Link(ours, execution.limits, execution.budget())
        self.out = _memory_file()
        # Calls use one file for both, so that lines stay in order. Cases compare stdout alone.
        self.err = _memory_file() if self.is_script else self.out
        self.marks = _memory_file() if execution.line_count else None
        stdin_fd = _memory_file(stdin) if self.is_script else 0
        descriptors = [theirs.fileno(), stdin_fd, self.out, self.err]
        if self.marks is not None:
            os.ftruncate(self.marks, execution.line_count + 1)
            descriptors.append(self.marks)
        execution.zygote.start_child(descriptors, execution.line_count, execution.limits.program_cpu_seconds)
        theirs.close()
        if self.is_script:
            os.close(stdin_fd)

    def send_program(self, names: list[str]) -> str:
        """Send the program and the names to look up after its body. Returns the nonce of that question."""
        nonce, task = os.urandom(8).hex(), self.execution.task
        self.link.send([task.program, self.is_script, task.support], [nonce, names])
        return nonce

    def hear_start(self) -> None:
        """Wait for the result of compiling. Raises Gone when the child ends first."""
        message = self.link.hear()
        if message[0] == "syntax":
            self.execution.failure = failure_of(message)
            raise Gone("failed")
        self.execution.parsed = True
        self.link.begin_test()

    def take_lines(self) -> tuple[int, ...] | None:
        """Lines marked since the last call; None when the task does not want them."""
        if self.marks is None:
            return None
        marks = os.pread(self.marks, self.execution.line_count + 1, 0)
        os.pwrite(self.marks, bytes(len(marks)), 0)
        lines = tuple(number for number, mark in enumerate(marks) if mark)
        self.execution.lines.update(lines)
        return lines

    def end(self) -> tuple[int, str]:
        """End it, add up its cost. Returns (exit code or -signal, stdout)."""
        execution, link = self.execution, self.link
        status, cpu_seconds, peak_bytes = execution.zygote.end_child(has_hung_up=link.ended == "crash")
        execution.cpu_seconds += cpu_seconds
        execution.peak_bytes = max(execution.peak_bytes, peak_bytes)
        execution.timeout = execution.timeout or link.timeout
        execution.tamper = execution.tamper or link.tamper
        if status == -signal.SIGSYS:
            execution.tamper = execution.tamper or "a system call of a foreign kind (SIGSYS)"
        if link.ended == "crash" and not execution.signal and not execution.exit_code:
            if status < 0:
                execution.signal = _SIGNAL_NAMES.get(-status, f"signal {-status}")
            else:
                execution.exit_code = status
        self.take_lines()
        link.channel.close()
        execution.output_bytes = os.fstat(self.out).st_size
        size = execution.limits.output_bytes if self.is_script else OUTPUT_KEPT
        printed = os.pread(self.out, size, 0).decode("utf-8", "replace")
        for descriptor in {self.out, self.err, self.marks} - {None}:
            os.close(descriptor)
        return status, printed


_SIGNAL_NAMES = {int(number): number.name for number in signal.Signals}


def _memory_file(text: str = "") -> int:
    """A new file without a name, at its beginning. Returns its descriptor."""
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
    """The Verdict for the child's message [word, type name, line, column, ...]."""
    match message:
        case [_, str(error_type), (int() | None) as line, (int() | None) as column, *_]:
            return Verdict("error", _proper_name(error_type), line=line, column=column)
    return Verdict("error", "Exception")  # the program itself has written such a message


def _proper_name(name: str) -> str:
    """A type's name as the child reports it, if it is a name."""
    return name if name.isascii() and name.isidentifier() and len(name) <= 80 else "Exception"


_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 60


def short(value: object) -> str:
    """A short repr. The value was built by wire.reader, so no code of the program runs."""
    try:
        return _repr.repr(value)[:200]
    except (ValueError, RecursionError, MemoryError):  # a number with too many digits, too deep a list
        return f"<{type(value).__name__}>"
