"""Frames and values: what goes in comes out, exactly; what nobody sent is refused."""

import datetime
import json
import math
import os
import random
import signal
import socket
import string
import threading
from collections import Counter, OrderedDict, deque, namedtuple
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction

import pytest

from sandbox import Limits, wire
from sandbox.judge.execution import Gone, Link, ProgramError

POINT = namedtuple("POINT", "x y")


class Colour(IntEnum):
    RED = 1


def refuse(value):
    raise TypeError(type(value).__name__)


def no_handle(number, name):
    raise wire.Malformed("no handles here")


def read(body):
    return wire.reader(no_handle)(body)


def round_trip(value):
    return read(json.dumps(wire.to_plain(value, refuse)).encode("ascii"))


def same(a, b):
    """Equal, and of exactly the same types all the way down; NaN is NaN, -0.0 is not 0.0."""
    if type(a) is not type(b):
        return False
    if type(a) is float:
        return (
            math.isnan(a) == math.isnan(b) and (a == b or math.isnan(a)) and math.copysign(1, a) == math.copysign(1, b)
        )
    if type(a) is Decimal:
        return str(a) == str(b)
    if type(a) is complex:
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, (dict, type({}.items()))):
        return same(list(getattr(a, "items", lambda: a)()), list(getattr(b, "items", lambda: b)()))
    if isinstance(a, (list, tuple, deque, type({}.values()), type({}.keys()))):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (set, frozenset)):
        return a == b and sorted(map(kinds, a)) == sorted(map(kinds, b))
    return a == b


def kinds(value):
    return type(value).__name__ + str([kinds(item) for item in value] if isinstance(value, (tuple, frozenset)) else "")


# One maker for every type of the table.
ATOMS = [
    lambda r: None,
    lambda r: r.random() < 0.5,
    lambda r: r.randint(-9, 9),
    lambda r: r.choice((-1, 1)) * r.getrandbits(r.choice((62, 63, 64, 65, 20_000))),
    lambda r: r.choice((0.0, -0.0, 1e-310, 1.5, math.inf, -math.inf, r.uniform(-1e300, 1e300))),
    lambda r: complex(r.uniform(-9, 9), r.choice((0.0, -0.0, math.inf))),
    lambda r: "".join(r.choices(string.printable + "é漢😀\0\udfff", k=r.randint(0, 9))),
    lambda r: r.randbytes(r.randint(0, 9)),
    lambda r: range(r.randint(-9, 9), r.randint(-9, 10**30), r.randint(1, 10**20)),
    lambda r: Decimal(r.randint(-999, 999)).scaleb(r.randint(-20, 20)),
    lambda r: r.choice((Decimal("NaN"), Decimal("-Infinity"), Decimal("-0"))),
    lambda r: Fraction(r.randint(-999, 999), r.randint(1, 999)),
    lambda r: datetime.date.fromordinal(r.randint(1, 3_000_000)),
    lambda r: datetime.datetime.fromtimestamp(r.uniform(0, 4e9), r.choice((None, datetime.UTC))),
    lambda r: datetime.time(r.randint(0, 23), r.randint(0, 59), 0, r.randint(0, 999_999)),
    lambda r: datetime.timedelta(r.randint(-999, 999), r.randint(0, 9), r.randint(0, 9)),
    lambda r: r.choice((len, int, sorted, ValueError)),
]
NOT_A_NUMBER = ATOMS[10]  # not equal to itself, so no key
HASHABLE = [make for make in ATOMS if make is not NOT_A_NUMBER]


def make(r, depth, hashable=False):
    """A random value of the table."""
    if depth == 0 or r.random() < 0.4:
        return r.choice(HASHABLE if hashable else ATOMS)(r)
    items = [make(r, depth - 1, hashable) for _ in range(r.randint(0, 4))]
    if hashable:
        return tuple(items)
    keys = [make(r, depth - 1, hashable=True) for _ in items]
    pairs = dict(zip(keys, items, strict=True))
    return r.choice(
        (
            lambda: items,
            lambda: tuple(items),
            lambda: deque(items),
            lambda: set(keys),
            lambda: frozenset(keys),
            lambda: pairs,
            lambda: bytearray(b"ab"),
            lambda: pairs.keys(),
            lambda: pairs.items(),
        )
    )()


def test_every_type_comes_back_exactly():
    """Bug: a tuple comes back as a list, a key as a string, -0.0 as 0.0, a large int or a surrogate not at all."""
    r = random.Random(0)
    seen = set()
    for _ in range(3000):
        value = make(r, 4)
        assert same(value, round_trip(value))
        seen.add(type(value).__name__)
    assert {"tuple", "set", "frozenset", "dict", "deque", "dict_keys", "dict_items", "range", "datetime"} <= seen


@pytest.mark.parametrize("value", [math.nan, -math.nan, Decimal("NaN"), Decimal("sNaN")], ids=str)
def test_not_a_number(value):
    """Bug: NaN is refused, or comes back as a number."""
    back = round_trip([value])[0]
    assert type(back) is type(value)
    assert str(back) == str(value) or value != value


def test_large_numbers():
    """Bug: a number of thousands of digits is refused, or takes seconds of decimal conversion."""
    value = 7**100_000
    assert round_trip([value, -value]) == [value, -value]
    assert round_trip({-value: (value,)}) == {-value: (value,)}


def test_values_view():
    """Bug: a view of values comes back as a list, of which `list == view` is never true."""
    back = round_trip({1: "a", 2: "a"}.values())
    assert type(back) is type({}.values())
    assert list(back) == ["a", "a"]


@pytest.mark.parametrize(
    "value",
    [
        Counter("aab"),
        OrderedDict(a=1),
        POINT(1, 2),
        Colour.RED,
        type("S", (str,), {})("x"),
        type("F", (float,), {})(1.0),
    ]
    + [
        type("L", (list,), {})(),
        type("D", (dict,), {})(),
        type("I", (int,), {})(3),
        print.__self__,
        object(),
        iter([]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_subclass_is_written(value):
    """Bug: a value of a subclass passes for its base without being asked about."""
    asked = []
    wire.to_plain([value], lambda v: asked.append(v) or "asked")
    assert asked == [value]


def test_what_contains_itself():
    """Bug: a list that contains itself hangs the writer or ends the process."""
    loop = []
    loop.append(loop)
    with pytest.raises(RecursionError):
        wire.to_plain(loop, refuse)


MALFORMED = [
    *("", "[", "{}", "nul", "[1,]", "'a'", "[1][2]", '"\\ud8', "0x10", "NULL", "tru", "\0", "[\xe9]"),
    *('{"a": 1}', '{"set": [], "tuple": []}', '{"eval": "1"}', '{"__class__": []}', '{"object": []}'),
    *('{"int": 5}', '{"int": "x"}', '{"int": ""}', '{"int": null}', '{"int": ["0x1"]}'),
    *('{"complex": 1}', '{"complex": ["1", "2"]}', '{"complex": [1, 2, 3]}'),
    *('{"bytes": "0"}', '{"bytes": "zz"}', '{"bytes": [1]}', '{"bytearray": 1000000000}', '{"bytes": 1000000000}'),
    *('{"tuple": "ab"}', '{"tuple": {"set": []}}', '{"set": "ab"}', '{"set": 3}', '{"frozenset": null}'),
    *(
        '{"dict": []}x',
        '{"dict": [1]}',
        '{"dict": [[1]]}',
        '{"dict": [[1, 2, 3]]}',
        '{"dict": ["ab"]}',
        '{"dict": {"dict": []}}',
    ),
    *('{"items": [[1]]}', '{"keys": 1}', '{"values": "ab"}', '{"deque": 5}', '{"deque": [[], 1], "x": 1}'),
    *('{"range": [1, 2]}', '{"range": [1, 2, 0]}', '{"range": [1.5, 2, 1]}', '{"range": "abc"}'),
    *(
        '{"Decimal": "x"}',
        '{"Decimal": 1}',
        '{"Decimal": [0, [1], 0]}',
        '{"Fraction": ["0x1", "0x0"]}',
        '{"Fraction": ["1"]}',
    ),
    *('{"date": "x"}', '{"date": 1}', '{"datetime": "2020-13-01"}', '{"time": "25:00"}', '{"timedelta": ["1", 2, 3]}'),
    *('{"timedelta": [1e99, 0, 0]}', '{"builtin": "eval"}', '{"builtin": "open"}', '{"builtin": "__import__"}'),
    *('{"builtin": ["int"]}', '{"builtin": "os.system"}', '{"handle": [1, "A"]}', '{"handle": 1}', '{"handle": []}'),
    *("1" * 5000, "[" + "1" * 5000 + "]"),
]


@pytest.mark.parametrize("text", MALFORMED, ids=lambda text: text[:40])
def test_malformed(text):
    """Bug: a text that the writer never writes is read as something, or raises what nobody expects."""
    with pytest.raises(wire.Malformed):
        read(text.encode("latin-1"))


@pytest.mark.parametrize(
    "text", ["[" * 99_999, "[" * 9999 + "]" * 9999, '{"tuple":[' * 9999, '{"set": [[1]]}', '{"dict": [[[1], 2]]}']
)
def test_not_plain(text):
    """Bug: deep nesting ends the judge; a set of lists, which an honest program may return, is called tampering."""
    with pytest.raises((wire.NotPlain, wire.Malformed)):
        read(text.encode())


# Whatever can come out of the reader.
PLAIN = {type(None), bool, int, float, complex, str, bytes, bytearray, list, tuple, set, frozenset, dict, deque, range}
PLAIN |= {Decimal, Fraction, datetime.date, datetime.datetime, datetime.time, datetime.timedelta, type, type(len)}
PLAIN |= {type({}.keys()), type({}.values()), type({}.items())}


def mutate(r, text):
    """The text with a few characters changed, removed, doubled or swapped for words of the format."""
    characters = list(text)
    for _ in range(r.randint(1, 2)):
        at = r.randrange(len(characters) + 1)
        change = r.randrange(5)
        if change == 0:
            characters[at : at + r.randint(1, 5)] = []
        elif change == 1:
            characters[at:at] = r.choice(['{"set": [', '{"dict": ', "]}", "[", '"', "null", "1e9", "\\u0000", "-", ","])
        elif change == 2:
            characters[at : at + 1] = chr(r.randrange(128))
        elif change == 3:
            characters = [r.choice("0123456789") if c.isdigit() and r.random() < 0.2 else c for c in characters]
        else:
            end = r.randrange(len(characters) + 1)
            characters[at:at] = characters[end : end + 20]
    return "".join(characters)


def leaves(value):
    yield value
    if isinstance(value, (dict, type({}.items()))):
        value = list(getattr(value, "items", lambda: value)())
    if isinstance(value, (list, tuple, set, frozenset, deque, type({}.keys()), type({}.values()))):
        for item in value:
            yield from leaves(item)


def test_5000_mutated_values():
    """Bug: some text makes the reader raise what its caller does not catch, or build an object of another type."""
    r = random.Random(1)
    understood = 0
    for _ in range(5000):
        text = mutate(r, json.dumps(wire.to_plain(make(r, 3), refuse)))
        try:
            value = read(text.encode("ascii", "replace"))
        except (wire.Malformed, wire.NotPlain):
            continue
        understood += 1
        assert {type(leaf) for leaf in leaves(value)} <= PLAIN
    assert 250 < understood < 4750  # so that both ways are tried


# Frames -------------------------------------------------------------------------------------------------------


def test_frames_are_cut_wherever_the_stream_is():
    """Bug: a frame that arrives in pieces, or two that arrive at once, are lost or mixed up."""
    r = random.Random(2)
    for _ in range(200):
        messages = [wire.to_plain(make(r, 0), refuse) for _ in range(r.randint(1, 5))]
        stream, frames, got = b"".join(map(wire.pack, messages)), wire.Frames(), []
        while stream:
            cut = r.choice((1, 2, 5, 1000))
            frames.feed(stream[:cut])
            stream = stream[cut:]
            while (body := frames.next()) is not None:
                got.append(json.loads(body))
        assert same(got, messages)
        assert not frames.buffer


def test_announced_size_has_a_cap():
    """Bug: four bytes make the reader wait for, or reserve, gigabytes."""
    frames = wire.Frames(cap=100)
    frames.feed(wire.pack("x" * 98))
    assert json.loads(frames.next()) == "x" * 98
    frames.feed(b"\0\0\0\x65")
    with pytest.raises(wire.Malformed):
        frames.next()


def test_blocking_frames():
    """Bug: a message larger than the pipe is cut off; an end in the middle of one is taken for a message."""
    ours, theirs = socket.socketpair()
    large = {"program": "x" * 3_000_000}
    writer = threading.Thread(target=wire.write_frame, args=(theirs.fileno(), large))
    writer.start()
    assert wire.read_frame(ours.fileno()) == large
    writer.join()
    os.write(theirs.fileno(), b"\0\0\0\x09[1,")
    theirs.close()
    assert wire.read_frame(ours.fileno()) is None
    assert wire.read_frame(ours.fileno()) is None
    ours.close()


# The judge's end of the line ----------------------------------------------------------------------------------


class Peer(threading.Thread):
    """A child that answers each request with what `answer(nonce)` says, a list of byte strings; None hangs up."""

    def __init__(self, channel, answer):
        super().__init__(daemon=True)
        self.channel, self.answer = channel, answer
        self.start()

    def run(self):
        with self.channel:
            while (request := wire.read_frame(self.channel.fileno())) is not None:
                parts = self.answer(request[0])
                if parts is None:
                    return
                try:
                    for part in parts:
                        self.channel.sendall(part)
                except OSError:  # the judge has heard enough
                    return


def ask(answer, limits, operation="call"):
    """What one question to such a peer comes to: the link, and a value or an exception."""
    ours, theirs = socket.socketpair()
    link = Link(ours, limits, (60.0, 60.0))
    peer = Peer(theirs, answer)
    try:
        return link, link.ask(operation, 0, [], {})
    except (Gone, ProgramError, StopIteration, LookupError) as error:
        return link, error
    finally:
        link.channel.close()
        peer.join(10)
        assert not peer.is_alive()


def framed(text):
    return len(text).to_bytes(4, "big") + text.encode("latin-1")


@pytest.fixture
def limits():
    # The clocks must not decide what comes out. The judge's own, which would end this process, is switched off again.
    yield Limits(test_wall_seconds=20.0, program_wall_seconds=20.0, test_cpu_seconds=20.0, judge_cpu_seconds=600.0)
    signal.setitimer(signal.ITIMER_PROF, 0)


def test_right_answer(limits):
    """Bug: the line does not work at all, and every test below passes for that reason."""
    link, value = ask(lambda nonce: [wire.pack([nonce, "value", {"tuple": [1]}])], limits)
    assert (value, link.ended, link.tamper) == ((1,), None, None)
    link, error = ask(lambda nonce: [wire.pack([nonce, "raised", "KeyError", "k", 3, 4])], limits)
    assert type(error) is KeyError
    assert (link.verdict_of(error).line, link.verdict_of(error).column) == (3, 4)
    link, error = ask(lambda nonce: [wire.pack([nonce, "stop"])], limits, "next")
    assert type(error) is StopIteration


@pytest.mark.parametrize(
    ("answer", "ended"),
    [
        (lambda nonce: None, "crash"),
        (lambda nonce: [framed(f'["{nonce}", "value", 1')[:-9]], "timeout"),
        (lambda nonce: [wire.pack(["0" * 16, "value", 1])], "tamper"),
        (lambda nonce: [wire.pack([nonce.upper() + "x", "value", 1])], "tamper"),
        (lambda nonce: [wire.pack([int(nonce, 16), "value", 1])], "tamper"),
        (lambda nonce: [wire.pack([nonce, "stop"])], "tamper"),
        (lambda nonce: [wire.pack([nonce, "value"])], "tamper"),
        (lambda nonce: [wire.pack([nonce, "value", 1, 1])], "tamper"),
        (lambda nonce: [wire.pack([nonce, "raised", "E", "", 1.5, 0])], "tamper"),
        (lambda nonce: [wire.pack([nonce, "raised", "E", 5, 1, 0])], "tamper"),
        (lambda nonce: [wire.pack({"handle": [1, "A"]})], "tamper"),
        (lambda nonce: [wire.pack([nonce, "value", {"handle": [1, "a b"]}])], "tamper"),
        (lambda nonce: [wire.pack([nonce, "value", {"handle": [1.0, "A"]}])], "tamper"),
        (lambda nonce: [b"\xff\xff\xff\xff"], "tamper"),
        (lambda nonce: [framed("")], "tamper"),
    ],
)
def test_wrong_answers(limits, answer, ended):
    """Bug: an answer that the child never gives counts as one, or leaves the line open."""
    if ended == "timeout":
        limits = Limits(test_wall_seconds=0.2, judge_cpu_seconds=600.0)
    link, error = ask(answer, limits)
    assert type(error) is Gone
    assert link.ended == ended
    assert bool(link.tamper) == (ended == "tamper")
    with pytest.raises(Gone):
        link.ask("call", 0, [], {})


@pytest.mark.parametrize(
    "name", ["SystemExit", "KeyboardInterrupt", "AssertionError", "StopIteration", "GeneratorExit", "Gone", "X"]
)
def test_exceptions_that_mean_something_here(limits, name):
    """Bug: a program ends the judge, or a loop of a test, or says "wrong value", by the name of its exception."""
    _, error = ask(lambda nonce: [wire.pack([nonce, "raised", name, "text", None, None])], limits)
    assert type(error) is ProgramError
    assert error.name == name


def test_a_second_answer_is_tampering(limits):
    """Bug: an answer that nobody asked for waits in the buffer and is taken for the next one."""
    ours, theirs = socket.socketpair()
    link = Link(ours, limits, (60.0, 60.0))
    peer = Peer(theirs, lambda nonce: [wire.pack([nonce, "value", 1]) * 2])
    assert link.ask("call", 0, [], {}) == 1
    with pytest.raises(Gone):
        link.ask("call", 0, [], {})
    assert link.tamper
    link.channel.close()
    peer.join(10)


def test_5000_mutated_replies(limits):
    """Bug: a reply that was damaged on the way is taken for another value, hangs the judge, or raises a stray error."""
    r = random.Random(3)
    sent = []

    def answer(nonce):
        value = wire.to_plain(make(r, 2), refuse)
        text = json.dumps(r.choice(([nonce, "value", value], [nonce, "raised", "E", "m", 1, 2], [nonce, "stop"])))
        kept = r.choice((0, len(f'["{nonce}", ')))
        text = text[:kept] + mutate(r, text[kept:])
        sent.append((nonce, text))
        if r.randrange(10) == 0:
            return [r.randbytes(r.randint(0, 40)) + b"\xff\xff\xff\xff"]
        cut = r.randrange(len(text) + 5)
        return [framed(text)[:cut], framed(text)[cut:]]

    ends = {"value": 0, "error": 0, "tamper": 0}
    for _ in range(5000):
        link, value = ask(answer, limits)
        if isinstance(value, Gone):
            assert link.ended == "tamper"
            ends["tamper"] += 1
        elif isinstance(value, ProgramError):
            ends["error"] += 1
        else:
            nonce, text = sent[-1]
            assert json.loads(text)[:2] == [nonce, "value"]
            assert same(value, read(json.dumps(json.loads(text)[2]).encode()))
            ends["value"] += 1
    assert min(ends.values()) > 50, ends
