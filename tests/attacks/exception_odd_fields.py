# Tries: Raise SyntaxError, OSError and UnicodeDecodeError with fields that are no numbers and no text.
# Family: exception
# Mode: tests
# Earns: RUNS 0

import itertools


class Text(str):
    def encode(self, *arguments):
        raise SystemExit(0)


class Number(int):
    def __lt__(self, other):
        raise SystemExit(0)


def errors():
    while True:
        error = SyntaxError(Text("x"), (Text("file"), Number(10**100), Number(-5), Text("text")))
        yield error
        error = UnicodeDecodeError("ascii", b"x", 0, 1, "y")
        error.start, error.end = 10**6, -(10**6)
        yield error
        error = OSError(Number(2), Text("x"))
        error.errno = error
        yield error


turns = errors()


def f(x):
    raise next(turns)
