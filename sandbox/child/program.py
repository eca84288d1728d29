"""The child's own code after its confinement: compile the program, run its body, answer calls.

Messages over the socket, in frames (wire.py), `<` to the judge and `>` from it:

    > [program, is_script, support]
    < ["syntax", type, line, column]      it does not compile; the end
    < ["parsed"]                          (with the first message the kernel tells the judge our process id)
    < ["failed", type, line, column, status]    its body or the support raised; the end
    > [nonce, names]                      read only after the body, so the body cannot know the nonce
    < [nonce, handles]                    a handle of the program's callable for each name, or null
    > [nonce, operation, handle, ...]     see _OPERATIONS
    < [nonce, "value", value]
      [nonce, "raised", type, message, line, column]      [nonce, "stop"] (of "next")
      [nonce, "too large"]      [nonce, "not plain"]

Covered: the reports on an honest program are right. Naming a hostile exception (`__str__`, `__class__`, metaclass, huge
name) runs none of its code. The base's own methods reduce a value of a subclass to its built-in base.
Not covered: the program is in the same process, so it can send all of this itself, and can break its own answers (with
`json` or `builtins`). No verdict depends on it: the judge has the tests and compares what it decodes itself.
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
_exit = os._exit  # a program can replace the one in `os`
_true_name = type.__dict__["__name__"].__get__
_true_bases = type.__dict__["__mro__"].__get__
_true_traceback = BaseException.__dict__["__traceback__"].__get__
_true_arguments = BaseException.__dict__["args"].__get__


def serve(reply_cap: int, line_count: int) -> None:
    """Run one program; return when the judge hangs up. A script ends the process.

    `reply_cap`: bytes of one reply. `line_count`: mark executed lines up to this one in the file LINES_FD; 0 for none.
    """
    program, is_script, support = wire.read_frame(JUDGE_FD)
    module = types.ModuleType("__main__" if is_script else "program")
    sys.modules[module.__name__] = sys.modules["__main__"] = module
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


def _run_support(source: str) -> bool:
    """Run the task's stand-ins in their own namespace. If they fail, tell the judge and return False."""
    try:
        exec(compile(source, "<support>", "exec", dont_inherit=True), {"__name__": "support"})  # the task's  # nosec B102
    except Exception:
        wire.write_frame(JUDGE_FD, ["failed", "SupportError", None, None, 1])
        return False
    return True


def _run_body(code: types.CodeType, namespace: dict, program: str) -> int | None:
    """Run the module body. If it raises, tell the judge and return the exit status; else None."""
    try:
        exec(code, namespace)  # the process is confined  # nosec B102
    except BaseException as error:  # also SystemExit: the body has not run to its end
        status = _exit_status(error)
        flush()
        wire.write_frame(JUDGE_FD, ["failed", _name(error), *_place(error, program), status])
        return status
    return None


def _exit_status(error: BaseException) -> int:
    """The exit status that Python would have: 0 for exit() and exit(0), n for exit(n), else 1."""
    if type(error) is not SystemExit:
        return 1
    code = (*_true_arguments(error), None)[0]
    if code is None:
        return 0
    return code & 0xFF if type(code) is int else 1


def _end_script(status: int | None) -> None:
    """End as Python does: wait for threads, run exit handlers, flush output, then exit with the status."""
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        if sys.stdout is not None:  # the program may have replaced it, as templates for fast output do
            sys.stdout.flush()
    except BaseException:  # the program's own; Python ends with this status too
        status = status or 120
    flush()
    _exit(status or 0)


def flush() -> None:
    """Write out what print() still buffers, unless the limit of output is reached or stdout is closed."""
    for stream in (sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue


# The objects behind handles, kept alive so that Python gives no id twice. Each child fills its own copy.
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
    """The form of a value without a plain type: that of its built-in base, else a handle."""
    kind = type(value)
    for base in _true_bases(kind)[1:]:
        if base in _STRIP:
            return wire.to_plain(_STRIP[base](base, value), _handle)
    number = _numbers.setdefault(id(value), len(_objects))
    if number == len(_objects):
        _objects.append(value)
    return {"handle": [number, _class_name(kind)]}


def _pack(nonce: str, reply: list, cap: int) -> bytes:
    try:
        frame = wire.pack([nonce, *reply])
        if len(frame) <= cap:
            return frame
    except MemoryError:  # also too large
        pass
    return wire.pack([nonce, "too large"])


def _perform(operation: str, arguments: list, program: str) -> list:
    try:
        value = _OPERATIONS[operation](*arguments)
    except StopIteration as error:
        return ["stop"] if operation == "next" else _raised(error, program)
    except BaseException as error:  # also SystemExit and KeyboardInterrupt of the program
        return _raised(error, program)
    try:
        return ["value", wire.to_plain(value, _handle)]
    except RecursionError:  # it contains itself, or is nested deeper than Python recurses
        return ["not plain"]
    except BaseException as error:
        return _raised(error, program)


def _raised(error: BaseException, program: str) -> list:
    arguments = _true_arguments(error)
    message = arguments[0] if len(arguments) == 1 and type(arguments[0]) is str else ""
    return ["raised", _name(error), message[:_MESSAGE_CAP], *_place(error, program)]


# What a test can do with an object that stays here. `==`, `in`, isinstance, order and truth are missing, because with
# them the program would judge itself.
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

# A value of a subclass as one of its base, by the base's own methods: no code of the subclass runs.
_STRIP = (
    dict.fromkeys((int, float, complex), lambda base, value: base.__pos__(value))
    | dict.fromkeys((str, bytes, bytearray, list), lambda base, value: base.__getitem__(value, slice(None)))
    | dict.fromkeys((tuple, set, frozenset, deque), lambda base, value: base(base.__iter__(value)))
    | {dict: lambda base, value: base(base.items(value))}
)


def _class_name(kind: type) -> str:
    name = str.__getitem__(_true_name(kind), slice(0, _NAME_CAP))
    return name if name.isascii() and name.isidentifier() else ""


def _name(error: BaseException) -> str:
    """The type's name. Looks up no attribute of the error, which would run code of the program."""
    return _class_name(type(error)) or "Exception"


def _place(error: BaseException, program: str) -> tuple[int | None, int | None]:
    """Line (from 1) and column (from 0, in characters) in the program's deepest frame."""
    deepest, traceback = None, _true_traceback(error)
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == PROGRAM:
            deepest = traceback
        traceback = traceback.tb_next
    if deepest is None or deepest.tb_lineno is None:
        return None, None
    positions = deepest.tb_frame.f_code.co_positions()
    start = max(0, deepest.tb_lasti // 2)  # the program may have made the traceback, with any number
    line, _, column, _ = next(itertools.islice(positions, start, None), (None,) * 4)
    if line is None or column is None:
        return deepest.tb_lineno, None
    # Python counts bytes of UTF-8. Only "\n" ends a line of source here (compile has turned "\r\n" into it).
    lines = program.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if line > len(lines):  # code that the program compiled itself, under our file name
        return line, None
    return line, len(lines[line - 1].encode("utf-8", "surrogatepass")[:column].decode("utf-8", "ignore"))


def _mark_lines(count: int) -> None:
    """Mark each executed line of the program in memory shared with the judge, which survives a crash."""
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
    """Load the modules that short programs import, once in the zygote."""
    for name in PRELOAD.split():
        importlib.import_module(name)


def clean_up() -> None:
    """In the zygote, last: hide our modules and arguments from programs, and seed `random`."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "sandbox"]:
        del sys.modules[name]
    sys.argv = sys.orig_argv = [""]
    os.register_at_fork = posix.register_at_fork  # start.py had replaced it
    random.seed(0)
