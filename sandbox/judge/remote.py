"""The judge's end of the socket to a child (Link), and the stand-ins for what lives there (Remote).

A test that says `assert f(3) == 10` runs in the judge, where `f` is a Remote: the call travels as
[nonce, "call", handle, arguments], the reply as [nonce, "value", 10], and `==` is the judge's.

Covered: a reply counts only with the nonce of its call, in the form that child.py would send, below the cap of
bytes; anything else, a byte too much included, is tampering and ends the task. Every wait has a deadline, in CPU
time of the child and in elapsed time. Exceptions arrive by name: only harmless built-in ones are raised as
themselves (so that a test's `except ValueError` works), never AssertionError, StopIteration or SystemExit.
Not covered: what the program's objects say of themselves through a Remote (`len(stack)`, `node.value`, `str(node)`) is
the program's word, as any returned value is. `==` never is: two Remotes are equal if they are the same object; and
`x in tree` goes through the tree's items and compares here.
"""

import errno
import json
import os
import select
import signal
import socket
import struct
import time

from sandbox import wire

# What a test may expect a program to raise. All are plain: they take one message and have no effect of their own.
_RAISED_AS_THEMSELVES = {
    kind.__name__: kind
    for kind in (
        *(ArithmeticError, AttributeError, BufferError, EOFError, FloatingPointError, ImportError, IndexError),
        *(KeyError, LookupError, MemoryError, ModuleNotFoundError, NameError, NotImplementedError, OSError),
        *(OverflowError, RecursionError, RuntimeError, TypeError, UnboundLocalError, ValueError, ZeroDivisionError),
        *(PermissionError, FileNotFoundError, TimeoutError),
    )
}
_SO_PASSCRED = getattr(socket, "SO_PASSCRED", None)  # Linux only; elsewhere elapsed time alone decides
_CREDENTIALS = struct.Struct("3i")  # struct ucred: process, user, group
# In one test. An endless generator in `list(f(x))` ends here, and not on the judge's clock.
_MOST_QUESTIONS = 10_000
# Room around a value in a reply: the nonce and the words.
_ENVELOPE_BYTES = 4096


class Gone(BaseException):
    """The child has ended, hangs, or has cheated. Not an Exception, so that a test's `except Exception` lets it by."""


class ProgramError(Exception):
    """An exception of the program that is not raised here as itself."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class Link:
    """The socket to one child, with the clocks of one test.

    ended    None, or why nothing can be asked any more: "timeout", "crash", "tamper"
    timeout  None, "cpu" or "wall"
    tamper   None, or what was wrong
    """

    def __init__(self, channel: socket.socket, limits, budget: tuple[float, float]) -> None:
        self.channel, self.limits = channel, limits
        self.frames = wire.Frames(limits.reply_bytes + _ENVELOPE_BYTES)
        self._read = wire.reader(self._remote)
        self.ended = self.timeout = self.tamper = None
        self.last_value: object = None
        self.has_returned = self.returned_value = False  # from a call; from one a value that is not None
        self._raised: BaseException | None = None
        self._place: tuple[int | None, int | None] = (None, None)
        self._clock_id: int | None = None
        channel.setblocking(False)
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(channel, select.POLLIN)
        self._writable.register(channel, select.POLLOUT)
        # Limits on the child's own clock of CPU time, and moments on time.monotonic.
        self._program_cpu, self._program_until = budget[0], time.monotonic() + budget[1]
        self._test_cpu, self._test_until, self._look_at = 0.0, 0.0, 0.0
        self.begin_test()

    @classmethod
    def pair(cls, limits, budget: tuple[float, float]) -> tuple["Link", socket.socket]:
        """A link and the socket for the child."""
        ours, theirs = socket.socketpair()
        if _SO_PASSCRED is not None:
            ours.setsockopt(socket.SOL_SOCKET, _SO_PASSCRED, 1)
        return cls(ours, limits, budget), theirs

    def close(self) -> None:
        self.channel.close()

    # Clocks

    def begin_test(self) -> None:
        """Give the program the time of one more test, as far as its whole time reaches, and the judge its own.

        The judge's clock is CPU time, so waiting for the program does not count. At its end the kernel kills this
        process (SIGPROF, no handler), even inside one long instruction such as building a set of colliding numbers.
        """
        signal.setitimer(signal.ITIMER_PROF, self.limits.judge_cpu_seconds)
        self._questions = 0
        now, used = time.monotonic(), self._cpu_seconds()
        self._test_cpu = min(used + self.limits.test_cpu_seconds, self._program_cpu)
        self._test_until = min(now + self.limits.test_wall_seconds, self._program_until)
        self._look_at = now + self._test_cpu - used

    def _cpu_seconds(self) -> float:
        """CPU time of the child so far; 0 as long as it has not said a word, or the system does not tell who it is.

        Compiling is therefore on the clock of elapsed time alone.
        """
        if self._clock_id is None:
            return 0.0
        try:
            return time.clock_gettime(self._clock_id)
        except OSError:  # somebody has killed the zygote, and the child with it: the next message will be its end
            return 0.0

    def _wait(self, poll: select.poll) -> None:
        """Wait until the socket is ready. Raises Gone when a limit is reached first, or has been before.

        CPU time is looked at only when it can have run out, which is no sooner than it would on the wall. (Threads
        that work at the same time are found out that much later.)
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

    # Messages

    def send(self, *messages: object) -> None:
        """Send frames; raises Gone when the child does not take it in time.

        A child that is no longer there is met when its answer is awaited: it may have said why before it went.
        """
        data = memoryview(b"".join(map(wire.pack, messages)))
        while data:
            try:
                data = data[self.channel.send(data) :]
            except BlockingIOError:
                self._wait(self._writable)
            except OSError as error:
                if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                    raise
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
            self._wait(self._readable)  # each time: a reply that drips in by bytes must not get round the clock
            try:
                part = self.channel.recv(1 << 16)
            except ConnectionResetError:
                part = b""
            if not part:
                raise self._end("crash")
            self.frames.feed(part)

    def hear_first(self) -> list:
        """The first message, sent before the program's first instruction: with it the kernel says who the child is."""
        if _SO_PASSCRED is not None:
            self._wait(self._readable)
            try:
                part, ancillary, _, _ = self.channel.recvmsg(1 << 16, socket.CMSG_SPACE(_CREDENTIALS.size))
            except ConnectionResetError:
                part = b""
            if not part:
                raise self._end("crash")
            pid = _CREDENTIALS.unpack(ancillary[0][2])[0]
            self._clock_id = (~pid << 3) | 2 if pid else None  # clock_getcpuclockid(3)
            self.frames.feed(part)
        return self.hear()

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
        """Something callable or None for each name asked for; or ["failed", type, line, column, status]."""
        message = self.hear()
        if message[0] == "failed" and len(message) == 5:
            return message
        if len(message) != 2 or message[0] != nonce or type(message[1]) is not list:
            raise self._tamper("an answer without its nonce")
        found = message[1]
        if len(found) != count or not all(x is None or callable(x) for x in found):
            raise self._tamper("an answer of another form than the question")
        return found

    def ask(self, operation: str, handle: int, *arguments: object) -> object:
        """One operation on an object of the child; its value, or its exception raised here."""
        if self.ended:
            raise Gone(self.ended)
        if self.frames.buffer:
            raise self._tamper("bytes that nobody asked for")
        self._questions += 1
        if self._questions > _MOST_QUESTIONS:
            raise self._remember(ProgramError("ReplyTooLarge", ""), None, None)
        nonce = new_nonce()
        plain = [wire.to_plain(argument, _plain_remote) for argument in arguments]
        self.send([nonce, operation, {"handle": [handle, ""]}, *plain])
        return self._value_of(self.hear(), nonce, operation)

    def _value_of(self, message: list, nonce: str, operation: str) -> object:
        match message:
            case ["not plain"]:  # whoever wrote it, nothing is gained by it
                raise self._remember(ProgramError("NotPlainData", ""), None, None)
            case [str(echo), *_] if echo != nonce:
                raise self._tamper("an answer without its nonce")
            case [_, "value", value]:
                return value
            case [_, "stop"] if operation == "next":  # elsewhere it would end a loop of the test
                raise StopIteration
            case [_, "raised", str(name), str(text), (int() | None) as line, (int() | None) as column]:
                kind = _RAISED_AS_THEMSELVES.get(name)
                error = ProgramError(proper_name(name), text) if kind is None else kind(text)
                raise self._remember(error, line, column)
            case [_, "too large"]:
                raise self._remember(ProgramError("ReplyTooLarge", ""), None, None)
            case [_, "not plain"]:
                raise self._remember(ProgramError("NotPlainData", ""), None, None)
        raise self._tamper("an answer of another form than the question")

    # Ends and errors

    def _time_out(self, clock: str) -> Gone:
        self.timeout = clock
        return self._end("timeout")

    def _end(self, word: str) -> Gone:
        self.ended = self.ended or word
        return Gone(word)

    def _tamper(self, reason: str) -> Gone:
        self.tamper = self.tamper or reason
        return self._end("tamper")

    def hear_end(self) -> None:
        """Wait until the child hangs up. Raises Gone, always."""
        while True:
            self._receive()

    def _remember(self, error: BaseException, line: int | None, column: int | None) -> BaseException:
        self._raised, self._place = error, (line, column)
        return error

    def place_of(self, error: BaseException) -> tuple[int | None, int | None]:
        """Line and column of the program, if it is the program that raised this exception."""
        return self._place if error is self._raised else (None, None)

    def name_of(self, error: BaseException) -> str:
        """The exception's type name, as the program's own if it came from there."""
        return error.name if isinstance(error, ProgramError) else type(error).__name__

    def _remote(self, number: object, name: object) -> "Remote":
        if type(number) is not int or type(name) is not str or not (name == "" or name.isidentifier()):
            raise wire.Malformed("a handle of another form")
        return Remote(self, number, name)

    def note(self, value: object) -> object:
        """Keep what a call has returned, for the record."""
        self.last_value, self.has_returned = value, True
        self.returned_value = self.returned_value or value is not None
        return value

    def returned(self) -> str | None:
        """What the last call returned, as JSON text; None when none has, or when it is nested too deep."""
        try:
            return json.dumps(wire.to_plain(self.last_value, _plain_remote)) if self.has_returned else None
        except RecursionError:  # no honest program's: the child recurses less deep
            return None


def proper_name(name: str) -> str:
    """A type's name as the child tells it, if it is one."""
    return name if name.isascii() and name.isidentifier() and len(name) <= 80 else "Exception"


def new_nonce() -> str:
    global _random_bytes
    if not _random_bytes:
        _random_bytes = os.urandom(1024)  # many at a time: one call to the kernel less a question
    nonce, _random_bytes = _random_bytes[:8], _random_bytes[8:]
    return nonce.hex()


_random_bytes = b""


def _plain_remote(value: object) -> dict:
    if type(value) is not Remote:
        raise TypeError(
            f"a test cannot hand a {type(value).__name__} to the program: only plain data and builtins travel"
        )
    return {"handle": [number_of(value), ""]}


class Remote:
    """A function, class, instance or iterator of the program; each use of it is a question to the child.

    Equal only to itself, and no order: comparing is the judge's affair, and it cannot look inside. Its own fields
    have mangled names, so that `_name` and the like are the program's.
    """

    __slots__ = ("__link", "__name", "__number")

    def __init__(self, link: Link, number: int, name: str) -> None:
        object.__setattr__(self, "_Remote__link", link)
        object.__setattr__(self, "_Remote__number", number)
        object.__setattr__(self, "_Remote__name", name)

    def __call__(self, /, *positional: object, **named: object) -> object:
        return self.__link.note(self.__link.ask("call", self.__number, list(positional), named))

    def __getattr__(self, name: str) -> object:
        return self.__link.ask("get", self.__number, name)

    def __setattr__(self, name: str, value: object) -> None:
        self.__link.ask("set", self.__number, name, value)

    def __len__(self) -> int:
        return self.__link.ask("len", self.__number)

    def __bool__(self) -> bool:
        return True  # without this, truth would be a question of length

    def __getitem__(self, key: object) -> object:
        return self.__link.ask("item", self.__number, key)

    def __setitem__(self, key: object, value: object) -> None:
        self.__link.ask("put", self.__number, key, value)

    def __iter__(self) -> "Remote":
        return self.__link.ask("iter", self.__number)

    def __next__(self) -> object:
        return self.__link.ask("next", self.__number)

    def __str__(self) -> str:
        return self.__link.ask("str", self.__number)

    def __repr__(self) -> str:
        return f"<{self.__name or 'object'}>"

    def __eq__(self, other: object) -> bool:
        return type(other) is Remote and (self.__link, self.__number) == (other.__link, other.__number)

    def __hash__(self) -> int:
        return hash(self.__number)


def number_of(remote: Remote) -> int:
    """The handle of a Remote."""
    return object.__getattribute__(remote, "_Remote__number")
