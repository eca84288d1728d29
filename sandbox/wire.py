"""Messages between the processes: frames (four bytes of length, then JSON) and values (tagged JSON of built-in types).

A value is plain JSON where JSON has its type: null, true, numbers, strings, lists. All others are an object with one
key, the tag:

    {"int": "0x..."}  {"complex": [0.0, 1.0]}  {"bytes": "00ff"}  {"bytearray": "00ff"}
    {"tuple": [...]}  {"set": [...]}  {"frozenset": [...]}  {"dict": [[key, value], ...]}
    {"keys": [...]}  {"values": [...]}  {"items": [[key, value], ...]}  {"range": [0, 9, 2]}  {"deque": [...]}
    {"Decimal": "1.5"}  {"Fraction": [1, 3]}  {"date": "2026-01-31"}  {"datetime": ...}  {"time": ...}
    {"timedelta": [days, seconds, microseconds]}
    {"builtin": "int"}  {"handle": [7, "Node"]}

Covered: reading builds only these exact types (no subclass, so no foreign `__eq__`) and runs no code: no pickle, no
eval, no names except from a fixed table. Anything else is Malformed.
Not covered: the time of building (a set of colliding numbers; the judge has a clock). The size (the reader has a cap).
JSON joins a lone high surrogate with a lone low one after it.
"""

import datetime
import json
import os
import struct
from collections import deque
from decimal import Decimal
from fractions import Fraction

_HEADER = struct.Struct(">I")
# The zygote's answer: wait status, user + system CPU time in seconds, largest resident set in bytes.
REPORT = struct.Struct("=idq")

# Functions and types of Python's own that a test may pass to a program: `f([3, 1], key=len)`, `f(x, int)`.
BUILTINS = {
    kind.__name__: kind
    for kind in (
        *(abs, all, any, bin, bool, bytearray, bytes, chr, complex, dict, divmod, enumerate, filter, float),
        *(frozenset, hash, hex, int, isinstance, iter, len, list, map, max, min, next, object, oct, ord, pow),
        *(print, range, repr, reversed, round, set, slice, sorted, str, sum, tuple, type, zip),
        *(Exception, ValueError, TypeError, KeyError, IndexError, ZeroDivisionError),
    )
}
_BUILTIN_NAMES = {value: name for name, value in BUILTINS.items()}


class Malformed(ValueError):
    """Bytes that our own writer never sends."""


class NotPlain(ValueError):
    """A value that cannot be rebuilt: nested too deep, or a list (of a subclass with a hash) inside a set."""


def pack(message: object) -> bytes:
    """One frame. ASCII only, which preserves lone surrogates in a program."""
    body = json.dumps(message).encode("ascii")
    return _HEADER.pack(len(body)) + body


class Frames:
    """Cuts a stream of bytes into frames. Raises Malformed for a frame announced larger than `cap` bytes."""

    def __init__(self, cap: int = 1 << 31) -> None:
        self.cap, self.buffer = cap, bytearray()

    def feed(self, part: bytes) -> None:
        self.buffer += part

    def next(self) -> bytes | None:
        """The body of the next frame, or None while it is incomplete."""
        if len(self.buffer) < _HEADER.size:
            return None
        (length,) = _HEADER.unpack_from(self.buffer)
        if length > self.cap:
            raise Malformed(f"a message of {length} bytes where at most {self.cap} are allowed")
        end = _HEADER.size + length
        if len(self.buffer) < end:
            return None
        body = bytes(self.buffer[_HEADER.size : end])
        del self.buffer[:end]
        return body


def write_frame(fd: int, message: object) -> None:
    """Write one frame, blocking until all of it is written. Raises OSError when the reader is gone."""
    write_bytes(fd, pack(message))


def write_bytes(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, memoryview(data)[written:])


def read_frame(fd: int) -> object | None:
    """Read one frame, blocking; None when the writer is gone (also in the middle of a frame)."""
    body = read_body(fd)
    return None if body is None else json.loads(body)


def read_body(fd: int) -> bytes | None:
    """The same, still as JSON text."""
    header = _read_exactly(fd, _HEADER.size)
    return None if header is None else _read_exactly(fd, _HEADER.unpack(header)[0])


def _read_exactly(fd: int, count: int) -> bytes | None:
    data = os.read(fd, count)
    while len(data) < count:
        part = os.read(fd, count - len(data))
        if not part:
            return None
        data += part
    return data


def to_plain(value: object, opaque) -> object:
    """The JSON form of a value; `opaque(value)` for types outside the table and for subclasses.

    Raises RecursionError for a value that contains itself or is nested too deep.
    """
    kind = type(value)
    if kind in _NATURAL:
        return value
    if kind is int:
        # Python refuses decimal digits of large numbers (quadratic time).
        return value if -_SMALL < value < _SMALL else {"int": hex(value)}
    if kind is list:
        return [to_plain(item, opaque) for item in value]
    if kind in _TEXTS:
        tag, write, _ = _TEXTS[kind]
        return {tag: write(value)}
    if kind in _LISTS:
        tag, write, _ = _LISTS[kind]
        return {tag: [to_plain(item, opaque) for item in write(value)]}
    if kind in _MAPPINGS:
        pairs = value.items() if kind is dict else value
        return {_MAPPINGS[kind]: [[to_plain(k, opaque), to_plain(v, opaque)] for k, v in pairs]}
    if kind in _CALLABLES and value in _BUILTIN_NAMES:
        return {"builtin": _BUILTIN_NAMES[value]}
    return opaque(value)


_SMALL = 1 << 63
_NATURAL = {type(None), bool, float, str}
_CALLABLES = {type, type(len)}
_MAPPINGS = {dict: "dict", type({}.items()): "items"}


def reader(handle):
    """A function from one JSON text to its value. `handle(number, class_name)` returns the object behind a handle.

    The function raises Malformed for text that to_plain never writes, NotPlain for a value that cannot be rebuilt.
    """

    def build(tagged: dict) -> object:
        if len(tagged) != 1:
            raise Malformed(f"an object with {len(tagged)} keys")
        ((tag, content),) = tagged.items()
        if tag == "handle":
            return handle(*content)
        if tag in _FROM_TEXT:
            return _FROM_TEXT[tag](_expect(str, content))
        if tag in _FROM_LIST:
            return _FROM_LIST[tag](_expect(list, content))
        raise Malformed("an object with an unknown tag")

    decoder = json.JSONDecoder(object_hook=build)

    def read(body: bytes) -> object:
        try:
            text = body.decode("ascii")
            value, end = decoder.raw_decode(text)
            if end != len(text):
                raise ValueError("more than one JSON text")
            return value
        except (Malformed, NotPlain):
            raise
        except RecursionError:
            raise NotPlain("nested too deep") from None
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            raise Malformed(f"not a value: {type(error).__name__}") from None

    return read


def _no_object(_number: object, name: object) -> None:
    raise NotPlain(f"an object of the program's own ({name or 'of no name'})")


_read_value = reader(_no_object)


def read_value(text: str) -> object:
    """The value of a JSON text in the form above (Verdict.returned), of exact built-in types.

    Raises ValueError: NotPlain for an object of the program's own class or too deep a value; Malformed for other text.
    """
    return _read_value(text.encode("ascii"))


def _expect(kind: type, content: object) -> object:
    if type(content) is not kind:
        raise Malformed(f"a {kind.__name__} was expected")
    return content


def _hexadecimal(text: object) -> int:
    return int(_expect(str, text), 16)


def _fraction(items: list) -> Fraction:
    numerator, denominator = map(_hexadecimal, items)
    return Fraction(numerator, denominator)


def _range(items: list) -> range:
    start, stop, step = items
    return range(start, stop, step)


def _dict(pairs: list) -> dict:
    if not all(type(pair) is list and len(pair) == 2 for pair in pairs):
        raise Malformed("pairs were expected")
    return _hashed(dict)(pairs)


def _hashed(build):
    def build_hashed(items: list) -> object:
        try:
            return build(items)
        except TypeError:
            raise NotPlain("a set or dict of something that has no hash") from None

    return build_hashed


# Type: tag, its text (or list of values) from a value, and a value from that.
_TEXTS = {
    bytes: ("bytes", bytes.hex, bytes.fromhex),
    bytearray: ("bytearray", bytearray.hex, bytearray.fromhex),
    Decimal: ("Decimal", str, Decimal),
    datetime.date: ("date", datetime.date.isoformat, datetime.date.fromisoformat),
    datetime.datetime: ("datetime", datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    datetime.time: ("time", datetime.time.isoformat, datetime.time.fromisoformat),
}
_LISTS = {
    tuple: ("tuple", list, tuple),
    set: ("set", list, _hashed(set)),
    frozenset: ("frozenset", list, _hashed(frozenset)),
    deque: ("deque", list, deque),
    type({}.keys()): ("keys", list, lambda items: _hashed(dict.fromkeys)(items).keys()),
    type({}.values()): ("values", list, lambda items: dict(enumerate(items)).values()),
    range: ("range", lambda value: [value.start, value.stop, value.step], _range),
    complex: ("complex", lambda value: [value.real, value.imag], lambda items: complex(*items)),
    Fraction: ("Fraction", lambda value: [hex(value.numerator), hex(value.denominator)], _fraction),
    datetime.timedelta: (
        "timedelta",
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda items: datetime.timedelta(*items),
    ),
}
_FROM_TEXT = {tag: read for tag, _, read in _TEXTS.values()} | {"int": _hexadecimal, "builtin": BUILTINS.__getitem__}
_FROM_LIST = {tag: read for tag, _, read in _LISTS.values()}
_FROM_LIST |= {"dict": _dict, "items": lambda pairs: _dict(pairs).items()}
