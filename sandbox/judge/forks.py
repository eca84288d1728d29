"""The judge's side of its zygote: start it, order forks and their end.

Covered: no wait for the zygote is without a deadline; every child is killed and reaped, and its cost is known.
Not covered: a zygote that dies. The slot then ends with SlotBroken, and the trainer starts another.
"""

import contextlib
import json
import math
import os
import socket
import struct
import subprocess  # nosec B404

from sandbox import wire
from sandbox.confine import kernel
from sandbox.start import command

_START_SECONDS, _ANSWER_SECONDS = 30, 10
_ADDR_NO_RANDOMIZE = 0x0040000


class SlotBroken(Exception):
    """The zygote is gone or does not work: the end of this slot."""


class Zygote:
    """The zygote of this judge, with the `status` of its layers."""

    def __init__(self, settings: dict) -> None:
        self.control, theirs = socket.socketpair()
        # Fixed addresses in the zygote, on which the order of a set of objects depends. Some systems refuse.
        with contextlib.suppress(OSError):
            kernel.call("personality", _ADDR_NO_RANDOMIZE)
        arguments = command("zygote", json.dumps(settings))
        self.process = subprocess.Popen(arguments, stdin=theirs, stdout=subprocess.DEVNULL)  # our script  # nosec B603
        theirs.close()
        self._set_deadline(_START_SECONDS)
        self.status: dict[str, str] = json.loads(self._hear())
        self._set_deadline(_ANSWER_SECONDS)

    def _set_deadline(self, seconds: int) -> None:
        """The kernel's deadline for each message. Python's own takes two system calls each."""
        self.control.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", seconds, 0))

    def _hear(self) -> bytes:
        try:
            message = self.control.recv(1 << 16)
        except OSError as error:
            raise SlotBroken(f"the zygote does not answer: {error}") from None
        if not message:
            raise SlotBroken("the zygote has ended")
        return message

    def _say(self, order: bytes, descriptors: list[int] | None = None) -> None:
        try:
            if descriptors:
                socket.send_fds(self.control, [order], descriptors)
            else:
                self.control.sendall(order)
        except OSError as error:
            raise SlotBroken(f"the zygote has ended: {error}") from None

    def start_child(self, descriptors: list[int], line_count: int, cpu_seconds: float) -> None:
        """Fork a child. The arguments are explained in child/zygote.py. Raises SlotBroken."""
        self._say(b"C%d %d" % (line_count, math.ceil(cpu_seconds)), descriptors)

    def end_child(self, has_hung_up: bool) -> tuple[int, float, int]:
        """Kill and reap. Returns (exit code or -signal, CPU seconds, peak bytes). Raises SlotBroken."""
        self._say(b"W" if has_hung_up else b"K")
        status, cpu_seconds, peak_bytes = wire.REPORT.unpack(self._hear())
        return os.waitstatus_to_exitcode(status), cpu_seconds, peak_bytes

    def end(self) -> None:
        """Hang up, wait for its end and reap it."""
        self.control.close()
        self.process.wait()
