"""What happens inside the child: compile, run the body, run the tests one by one, report each step.

Covered (tests in tests/sandbox/test_stages.py and test_forging.py): a test counts only when a record says
that its statement completed, so leaving early (sys.exit, os._exit, a crash) passes nothing; records carry a
nonce, so printing or writing blindly to every descriptor forges nothing; forked copies cannot report; hostile
exceptions (`__str__`, `__class__`, metaclass, huge names); builtins shadowed or patched by the program
(`set`, `abs`, `exec`, `__builtins__`) are the true ones in the tests and here; a trace function set by the
program is gone before the next test.

Not covered, because program and tests share a process here: a returned object whose `__eq__` is always true;
reading the tests' constants or the nonce through frames or `gc`; patched library functions (`math.isclose =
...`). The cure is a judge in another process.
"""

import builtins
import os
import random
import site
import sys
import types

from confine import REPORT_FD

PROGRAM = "<program>"
_WORDS = {"passed", "wrong", "timeout", "crash", "not run"}
_NAME_CAP = 80
site.setquit()  # exit() and quit(), which the option -S leaves out
# Kept before any program runs, so that what a program does to these modules does not reach the harness. The
# functions below take their builtins from this copy (a function looks for `__builtins__` in its globals when
# it is made), so `builtins.exec = print` in a program does not either.
_BUILTINS = __builtins__ = dict(builtins.__dict__)
_write, _getpid, _exit, _settrace, _setprofile = os.write, os.getpid, os._exit, sys.settrace, sys.setprofile
_true_name = type.__dict__["__name__"].__get__
_true_traceback = BaseException.__dict__["__traceback__"].__get__


def run_job(job: dict, first: int, nonce: str) -> None:
    """Run a job from its test number `first` on, in the calling process.

    Records, one packet each, `nonce` before the rest: `parsed`; `ran`; `value` (the entry point returned
    something other than None, sent once); `error NAME LINE` (compiling, the body, or the entry point failed:
    no tests follow); `test INDEX WORD LINE`. LINE is 0 where there is none.
    """
    owner = _getpid()

    def report(*fields: object) -> None:
        if _getpid() != owner:
            _exit(0)  # a copy that the program has forked: its guesses do not count
        _write(REPORT_FD, " ".join([nonce, *map(str, fields)]).encode("ascii", "replace"))

    # Hide the harness from `import __main__` and from imports by name.
    module = types.ModuleType("program")
    module.__builtins__ = builtins  # exec would hand out the harness's own copy
    for name in ("harness", "confine", "wire"):
        sys.modules.pop(name, None)
    sys.modules["program"] = sys.modules["__main__"] = module
    random.seed(0)
    try:
        _run(job, first, module.__dict__, report)
    finally:
        _flush(sys.__stdout__)


def _flush(stream) -> None:
    try:
        stream.flush()
    except (OSError, ValueError):  # beyond the output limit, or closed by the program
        return


def _run(job: dict, first: int, namespace: dict, report) -> None:
    try:
        code = compile(job["program"], PROGRAM, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        report("error", _name(error), getattr(error, "lineno", None) or 0)
        return
    report("parsed")
    try:
        # Running the program is the purpose; the process is confined.
        exec(code, namespace)  # nosec B102
    except BaseException as error:  # SystemExit too: leaving the body early is a failure like any other
        report("error", _name(error), _line(error))
        return
    report("ran")
    entry_point = job["entry_point"]
    if not callable(namespace.get(entry_point)):
        report("error", "EntryPointMissing", 0)
        return
    tests = _namespace_of_tests(namespace, entry_point, report)
    # The setup goes with each test's fate: if it fails, every test fails with its error.
    failure = _attempt(job["setup"], "<setup>", tests)
    for index in range(first, len(job["tests"])):
        word, line = failure or _attempt(job["tests"][index], "<test>", tests) or ("passed", 0)
        report("test", index, word, line)


def _namespace_of_tests(namespace: dict, entry_point: str, report) -> dict:
    """The program's names, less those that shadow a builtin, with the entry point wrapped.

    Only this copy has the wrapper, so the program's own calls (recursion) do not go through it.
    """
    tests = {name: value for name, value in namespace.items() if name not in _BUILTINS}
    tests["__builtins__"] = dict(_BUILTINS)
    tests[entry_point] = _Recorder(namespace[entry_point], report)
    return tests


class _Recorder:
    """A stand-in for a function or class that reports the first time a call returns a value.

    For a class it also serves attributes, isinstance and subclassing.
    """

    def __init__(self, raw, report):
        self._raw, self._report, self._noted = raw, report, False

    def __call__(self, /, *args, **kwargs):
        value = self._raw(*args, **kwargs)
        if value is not None and not self._noted:
            self._noted = True
            self._report("value")
        return value

    def __getattr__(self, name):
        return getattr(self._raw, name)

    def __instancecheck__(self, instance):
        return isinstance(instance, self._raw)

    def __mro_entries__(self, bases):
        return (self._raw,)


def _attempt(source: str, filename: str, namespace: dict) -> tuple[str, int] | None:
    """Run a piece of test code; None when it completed, else (word, line of the program)."""
    _settrace(None)
    _setprofile(None)
    try:
        exec(compile(source, filename, "exec", dont_inherit=True), namespace)  # nosec B102
    except BaseException as error:  # the program's SystemExit and KeyboardInterrupt as well
        line = _line(error)
        # An assertion of the program itself is an exception; only the test's own is a wrong value.
        wrong = type(error) is AssertionError and line == 0
        return ("wrong" if wrong else _name(error)), line
    return None


def _name(error: BaseException) -> str:
    """The type's name, without running any code of the program (no attribute of the error is looked up)."""
    name = str.__getitem__(_true_name(type(error)), slice(0, _NAME_CAP))
    return name if name.isascii() and name.isidentifier() and name not in _WORDS else "Exception"


def _line(error: BaseException) -> int:
    """The line of the deepest frame that belongs to the program; 0 when there is none."""
    line, traceback = 0, _true_traceback(error)
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == PROGRAM:
            line = traceback.tb_lineno or 0
        traceback = traceback.tb_next
    return line
