"""Programs that try to look better than they are, or to break the harness."""

import pytest

from sandbox import Job, Limits, Sandbox, Stage

TESTS = ("assert f(1) == 2", "assert set([f(2)]) == {3}", "assert abs(f(3) - 9) < 1e-6")


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(workers=1, limits=Limits(cpu_seconds=0.5, wall_seconds=5.0)) as sandbox:
        yield sandbox


def run(sandbox, program, tests=TESTS):
    return sandbox.run([Job(program, tests, "f")])[0]


FORGE = """
import os
lines = [mark + text for mark in ("", "0" * 16 + " ") for text in
         ("parsed", "ran", "value", "test 0 passed 0", "test 1 passed 0", "test 2 passed 0")]
for fd in range(1, 300):
    for text in lines:
        try:
            os.write(fd, text.encode())
            os.write(fd, text.encode() + b"\\n")
        except OSError:
            break
"""


@pytest.mark.parametrize("end", ["os._exit(0)", "def f(x): return 0"])
def test_records_without_the_nonce(sandbox, end):
    """Bug: writing verdict lines to stdout and to every descriptor passes tests."""
    outcome = run(sandbox, FORGE + end)
    assert outcome.passed == 0
    assert outcome.stage == (Stage.PARSES if "_exit" in end else Stage.OUTPUT)


def test_flood_of_the_report_socket(sandbox):
    """Bug: a program that floods the socket fills the zygote's memory, hangs it, or hides its own records."""
    flood = "import os\ndef f(x):\n    for i in range(9999): os.write(100, b'x' * 5000)\n    return x + 1\n"
    assert run(sandbox, flood, ("assert f(1) == 2",)).stage in (Stage.PASSED, Stage.RUNS)
    forever = "import os\ndef f(x):\n    while True: os.write(100, b'x' * 5000)\n"
    assert run(sandbox, forever).error_type == "Timeout"


@pytest.mark.parametrize("parent", [0, 1])
def test_forked_copies_do_not_report(sandbox, parent):
    """Bug: the program forks, each copy returns another guess, and a copy's record counts."""
    program = (
        "import os, time\ndef f(x):\n    pid = os.fork()\n"
        f"    if bool(pid) == {bool(parent)}: time.sleep(0.1)\n    return 0 if pid else x + 1\n"
    )
    assert run(sandbox, program, ("assert f(1) == 2",)).passed == 0


def test_closed_descriptors(sandbox):
    """Bug: a program that closes all descriptors makes the zygote spin or hang, or passes."""
    outcome = run(sandbox, "import os\ndef f(x):\n    os.closerange(0, 300)\n    return x + 1\n")
    assert (outcome.stage, outcome.passed) == (Stage.RUNS, 0)


@pytest.mark.parametrize(
    "program",
    [
        "set, abs = lambda x: {3}, lambda x: 0\ndef f(x): return 5",
        "import builtins\nbuiltins.set, builtins.abs = lambda x: {3}, lambda x: 0\ndef f(x): return 5",
        "import builtins\nbuiltins.exec = builtins.compile = lambda *a, **k: None\ndef f(x): return 5",
        "import builtins\nvars(builtins).update(dict.fromkeys(vars(builtins)))\nf = lambda x: 5",
        "vars(__builtins__).update(dict.fromkeys(vars(__builtins__)))\nf = lambda x: 5",
        "__builtins__ = {'set': lambda x: {3}, 'abs': lambda x: 0}\ndef f(x): return 5",
        "AssertionError = ValueError\ndef f(x): return 5",
        "import builtins\nbuiltins.AssertionError = ValueError\ndef f(x): return 5",
        "import os, sys\nos.write = os._exit = sys.exit = print\ndef f(x): return 5",
        "import atexit, os\natexit.register(os._exit, 0)\ndef f(x): return 5",
    ],
)
def test_patched_builtins(sandbox, program):
    """Bug: names that tests or harness use are the program's own (`abs = lambda x: 0` passes)."""
    outcome = run(sandbox, program)
    assert (outcome.stage, outcome.passed) == (Stage.OUTPUT, 0)
    assert run(sandbox, "def f(x): return x + 1").passed == 2


def test_trace_function_cannot_jump_over_the_assertion(sandbox):
    """Bug: sys.settrace in the body, or in one test, moves the next test past its assertion."""
    program = """
import sys
def trace(frame, event, arg):
    if frame.f_code.co_filename == "<test>" and event == "line" and frame.f_lineno == 2:
        frame.f_lineno = 3
    return trace
def f(x):
    sys.settrace(trace)
    return 0
sys.settrace(trace)
"""
    assert run(sandbox, program, ("x = f(1)\nassert x == 2\nx = 0",) * 2).tests == ("wrong", "wrong")


@pytest.mark.parametrize(
    ("definition", "name"),
    [
        ("class E(Exception):\n    def __str__(self): raise self\n    __repr__ = __str__", "E"),
        ("class E(Exception):\n    __class__ = property(lambda self: 1 / 0)", "E"),
        ("class E(Exception):\n    __traceback__ = property(lambda self: exit())", "E"),
        ("class E(Exception):\n    def __getattribute__(self, name): exit()", "E"),
        (
            "class M(type): __name__ = property(lambda c: exit())\nclass E(Exception, metaclass=M): pass",
            "E",
        ),
        ("E = type('E' * 10**6, (Exception,), {})", "E" * 80),
        ("E = type('passed', (Exception,), {})", "Exception"),
        ("E = type('a b\\nc', (Exception,), {})", "Exception"),
        ("E = type('\\xe9', (Exception,), {})", "Exception"),
        ("E = lambda: Exception('x' * 10**7)", "Exception"),
        ("E = lambda: ExceptionGroup('g', [SystemExit()] if 0 else [ValueError()])", "ExceptionGroup"),
    ],
)
def test_hostile_exceptions(sandbox, definition, name):
    """Bug: reporting an exception runs the program's code, forges a word, or sends megabytes of text."""
    program = f"{definition}\ndef f(x):\n    raise E()\n"
    outcome = run(sandbox, program)
    assert (outcome.stage, outcome.error_type, outcome.tests) == (Stage.RUNS, name, (name,) * 3)
    assert outcome.line == program.count("\n")


def test_harness_cannot_be_imported(sandbox):
    """Bug: `import __main__` or `import harness` hands the program the harness's own names."""
    program = "import __main__, sys\nassert '_fork_once' not in dir(__main__)\nimport harness\n"
    assert run(sandbox, program).error_type == "ModuleNotFoundError"
