"""One message on a pipe: four bytes of length (big-endian), then JSON. Spoken between pool and zygotes.

JSON only, never pickle: reading a message builds plain data and can run no code. This file is imported both
as `sandbox.wire` (caller) and as a bare sibling (zygote), so it imports nothing of the project.
"""

import json
import os
import struct

_LENGTH = struct.Struct(">I")


def write_message(fd: int, message: object) -> None:
    """Write one message, blocking until all of it is in the pipe. Raises OSError when the reader is gone."""
    # ASCII-only JSON, so that lone surrogates in a program survive the way.
    body = json.dumps(message).encode("ascii")
    data = memoryview(_LENGTH.pack(len(body)) + body)
    while data:
        data = data[os.write(fd, data) :]


def read_message(fd: int) -> object | None:
    """Read one message, blocking; None when the writer is gone (also in the middle of a message)."""
    header = _read_exactly(fd, _LENGTH.size)
    if header is None:
        return None
    body = _read_exactly(fd, _LENGTH.unpack(header)[0])
    return None if body is None else json.loads(body)


def _read_exactly(fd: int, count: int) -> bytes | None:
    parts = []
    while count:
        part = os.read(fd, count)
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
