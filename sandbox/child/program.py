"""What happens inside the child, once it is confined: compile the program, run its body, answer calls.

What is said over the socket, in frames (wire.py), `<` to the judge and `>` from it:

    > [program, is_script, support]
    < ["syntax", type, line, column]      it does not compile; the end
    < ["parsed"]                          (with the first word the kernel tells the judge our process id)
    < ["failed", type, line, column]      its body or the support raised; the end. Of a script also the status
    > [nonce, names]                      sent at once, but read only now: until here nobody here knows the nonce
    < [nonce, handles]                    for each name the handle of the callable that the program gives it, or null
    > [nonce, operation, handle, ...]     see _OPERATIONS
    < [nonce, "value", value]
      [nonce, "raised", type, message, line, column]      [nonce, "stop"] (of "next")
      [nonce, "too large"]      [nonce, "not plain"]

Covered: an honest program is reported as it is: hostile exceptions (`__str__`, `__class__`, metaclass, huge names)
are named without running any of their code; values of subclasses are stripped to their built-in base by the base's
own methods, so a list with an odd `__iter__` is the list that it stores.
Not covered: anything that is said here may be said by the program instead, because it lives in the same process; and
a program that breaks `json` or `builtins` breaks its own answers. Nothing depends on it: tests and expected values
are not here, and the judge compares what it decodes itself.
"""

import atexit
import importlib
import itertools
import mmap
import operator
import os
import posix
import random
import site
import sys
import threading
import types
from collections import deque

from sandbox import wire

JUDGE_FD = 100
LINES_FD = 101
PROGRAM = "<program>"
_NAME_CAP, _MESSAGE_CAP = 80, 1000
_PARSED = wire.pack(["parsed"])

site.setquit()  # exit() and quit(), which the option -S leaves out
_exit = os._exit  # a program can replace the one in `os`, and would then not end
_true_name = type.__dict__["__name__"].__get__
_true_bases = type.__dict__["__mro__"].__get__
_true_traceback = BaseException.__dict__["__traceback__"].__get__
_true_arguments = BaseException.__dict__["args"].__get__


def serve(reply_cap: int, line_count: int) -> None:
    """Run one program; returns when the judge is done with it (or a script with itself).

    reply_cap   bytes of one reply
    line_count  executed lines up to this one are marked in the file LINES_FD; 0 for none
    """
    program, is_script, support = wire.read_frame(JUDGE_FD)
    module = _fresh_module("__main__" if is_script else "program")
    try:
        code = compile(program, PROGRAM, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        line, column = getattr(error, "lineno", None), getattr(error, "offset", None)
        wire.write_frame(JUDGE_FD, ["syntax", _name(error), line, column - 1 if column else None])
        return
    wire.write_bytes(JUDGE_FD, _PARSED)
    if support and not _run_support(support):
        return
    if line_count:
        _mark_lines(line_count)
    status = _run_body(code, module.__dict__, program)
    if is_script:
        _end_script(status)
    elif status is None:
        _answer_calls(module.__dict__, program, reply_cap)


def _fresh_module(name: str) -> types.ModuleType:
    """The program's module, in the place of `__main__`."""
    module = types.ModuleType(name)
    sys.modules[name] = sys.modules["__main__"] = module
    return module


def _run_support(source: str) -> bool:
    """Run the task's stand-ins in a namespace of their own. False, after a word to the judge, if they fail."""
    try:
        exec(compile(source, "<support>", "exec", dont_inherit=True), {"__name__": "support"})  # nosec B102: the task's
    except Exception:
        wire.write_frame(JUDGE_FD, ["failed", "SupportError", None, None, 1])
        return False
    return True


def _run_body(code: types.CodeType, namespace: dict, program: str) -> int | None:
    """Run the module body. None when it came to its end; else, after a word to the judge, the exit status."""
    try:
        # Running the program is the purpose; the process is confined.
        exec(code, namespace)  # nosec B102
    except BaseException as error:  # SystemExit too: leaving the body early is a failure like any other
        status = _exit_status(error)
        flush()
        wire.write_frame(JUDGE_FD, ["failed", _name(error), *_place(error, program), status])
        return status
    return None


def _exit_status(error: BaseException) -> int:
    """The status that Python would end with: 0 for exit() and exit(0), n for exit(n), else 1."""
    if type(error) is not SystemExit:
        return 1
    code = (*_true_arguments(error), None)[0]
    if code is None:
        return 0
    return code & 0xFF if type(code) is int else 1


def _end_script(status: int | None) -> None:
    """End as Python does: threads are waited for, exit handlers run, output is flushed, then the status."""
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        if sys.stdout is not None:  # what the program has put there: fast input and output are often done so
            sys.stdout.flush()
    except BaseException:  # the program's own; Python ends with this status too
        status = status or 120
    flush()
    _exit(status or 0)


def flush() -> None:
    """Write out what print() still holds. What does not go is lost: it is beyond the limit, or stdout is closed."""
    for stream in (sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue


# Calls --------------------------------------------------------------------------------------------------------


class _TooDeep(Exception):
    """A value that cannot be written: it contains itself, or is nested deeper than Python recurses."""


# What handles stand for. Kept alive, so that an id is never given twice. Each child has its own, as a copy of none.
_objects: list = []
_numbers: dict[int, int] = {}
_read_request = wire.reader(lambda number, _name: _objects[number])


def _answer_calls(namespace: dict, program: str, reply_cap: int) -> None:
    nonce, names = wire.read_frame(JUDGE_FD)
    found = [namespace.get(name) for name in names]
    wire.write_frame(JUDGE_FD, [nonce, [_handle(value) if callable(value) else None for value in found]])
    while True:
        request = wire.read_body(JUDGE_FD)
        if request is None:
            return
        nonce, operation, *arguments = _read_request(request)
        reply = _perform(operation, arguments, program)
        flush()
        wire.write_bytes(JUDGE_FD, _pack(nonce, reply, reply_cap))


def _handle(value: object) -> object:
    """The form of a value of no plain type: as its built-in base if it has one, else a handle."""
    kind = type(value)
    for base in _true_bases(kind)[1:]:
        if base in _STRIP:
            return wire.to_plain(_STRIP[base](value), _handle)
    number = _numbers.setdefault(id(value), len(_objects))
    if number == len(_objects):
        _objects.append(value)
    return {"handle": [number, _class_name(kind)]}


def _write(value: object) -> object:
    try:
        return wire.to_plain(value, _handle)
    except RecursionError:
        raise _TooDeep from None


def _pack(nonce: str, reply: list, cap: int) -> bytes:
    try:
        frame = wire.pack([nonce, *reply])
        if len(frame) <= cap:
            return frame
    except MemoryError:  # too large even to be measured
        pass
    return wire.pack([nonce, "too large"])


def _perform(operation: str, arguments: list, program: str) -> list:
    try:
        return ["value", _write(_OPERATIONS[operation](*arguments))]
    except _TooDeep:
        return ["not plain"]
    except StopIteration as error:
        if operation == "next":
            return ["stop"]
        return _raised(error, program)
    except BaseException as error:  # SystemExit and KeyboardInterrupt of the program as well
        return _raised(error, program)


def _raised(error: BaseException, program: str) -> list:
    arguments = _true_arguments(error)
    message = arguments[0] if len(arguments) == 1 and type(arguments[0]) is str else ""
    return ["raised", _name(error), message[:_MESSAGE_CAP], *_place(error, program)]


# What a test can do with something that stays here: a function, a class, an instance, an iterator. There is no
# `==`, `in`, isinstance, order or truth among them: these would be the program's own word on whether it is right.
_OPERATIONS = {
    "call": lambda target, positional, named: target(*positional, **dict(named)),
    "get": getattr,
    "set": setattr,
    "len": len,
    "item": operator.getitem,
    "put": operator.setitem,
    "iter": iter,
    "next": next,
    "str": str,
}

# How a value of a subclass becomes its base's, by the base's own methods: nothing of the subclass runs.
_STRIP = {
    int: lambda value: int.__add__(value, 0),
    float: lambda value: float.__add__(value, 0.0),
    complex: lambda value: complex.__add__(value, 0j),
    str: lambda value: str.__getitem__(value, slice(None)),
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
    bytearray: lambda value: bytearray.__getitem__(value, slice(None)),
    list: lambda value: list.__getitem__(value, slice(None)),
    tuple: lambda value: tuple(tuple.__iter__(value)),
    set: lambda value: set(set.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
    dict: lambda value: dict(dict.items(value)),
    deque: lambda value: deque(deque.__iter__(value)),
}


# Names and places ---------------------------------------------------------------------------------------------


def _class_name(kind: type) -> str:
    name = str.__getitem__(_true_name(kind), slice(0, _NAME_CAP))
    return name if name.isascii() and name.isidentifier() else ""


def _name(error: BaseException) -> str:
    """The type's name, without running any code of the program (no attribute of the error is looked up)."""
    return _class_name(type(error)) or "Exception"


def _place(error: BaseException, program: str) -> tuple[int | None, int | None]:
    """Line (from 1) and column (from 0, in characters) of the deepest frame that belongs to the program."""
    deepest, traceback = None, _true_traceback(error)
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == PROGRAM:
            deepest = traceback
        traceback = traceback.tb_next
    if deepest is None or deepest.tb_lineno is None:
        return None, None
    positions = deepest.tb_frame.f_code.co_positions()
    start = max(0, deepest.tb_lasti // 2)  # a traceback that the program has made itself may say anything
    line, _, column, _ = next(itertools.islice(positions, start, None), (None,) * 4)
    if line is None or column is None:
        return deepest.tb_lineno, None
    # Python counts bytes of UTF-8. Only "\n" ends a line of source here (compile has turned "\r\n" into it).
    lines = program.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if line > len(lines):  # code that the program compiled itself, under our file name
        return line, None
    return line, len(lines[line - 1].encode("utf-8", "surrogatepass")[:column].decode("utf-8", "ignore"))


def _mark_lines(count: int) -> None:
    """Mark each line of the program that is executed in a map shared with the judge: it survives a crash."""
    marks = mmap.mmap(LINES_FD, count + 1)
    os.close(LINES_FD)

    def local(frame: types.FrameType, event: str, _argument: object):
        if event == "line" and frame.f_lineno <= count:
            marks[frame.f_lineno] = 1
        return local

    def trace(frame: types.FrameType, _event: str, _argument: object):
        return local if frame.f_code.co_filename == PROGRAM else None

    threading.settrace(trace)
    sys.settrace(trace)


PRELOAD = """
abc array ast bisect calendar cmath collections copy copyreg dataclasses datetime decimal enum fractions functools
hashlib heapq inspect io itertools json keyword math numbers operator pprint queue random re reprlib statistics
string struct textwrap threading time traceback types typing unicodedata
"""


def preload() -> None:
    """Load what short programs import: once in the zygote, not once a program."""
    for name in PRELOAD.split():
        importlib.import_module(name)


def make_room() -> None:
    """In the zygote, once, last of all: what each child would otherwise do for itself, and pay for in copied pages.

    Our own modules are no longer to be had by name (those that use them have them); there are no arguments; `random`
    starts from the same seed in every child.
    """
    for name in [name for name in sys.modules if name.partition(".")[0] == "sandbox"]:
        del sys.modules[name]
    sys.argv = sys.orig_argv = [""]
    os.register_at_fork = posix.register_at_fork  # start.py
    random.seed(0)
