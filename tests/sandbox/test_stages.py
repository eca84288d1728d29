"""Every stage, error type and failing line, and what the outcome of an ordinary bad program looks like."""

import json

import pytest

from sandbox import Job, Limits, Outcome, Sandbox, Stage

TESTS = ("assert f(1) == 2", "assert f(2) == 3", "assert f(3) == 4")


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(workers=1, limits=Limits(cpu_seconds=0.5, wall_seconds=5.0)) as sandbox:
        yield sandbox


def run(sandbox, program, tests=TESTS, entry_point="f", setup=""):
    return sandbox.run([Job(program, tests, entry_point, setup)])[0]


def test_passed(sandbox):
    """Bug: a correct program is not PASSED, or its outcome names an error."""
    outcome = run(sandbox, "def f(x):\n    print('hello')\n    return x + 1\n")
    assert outcome == Outcome(Stage.PASSED, 3, 3, None, None, ("passed",) * 3, False, outcome.seconds, "hello\n" * 3)
    assert outcome.seconds > 0


@pytest.mark.parametrize(
    ("program", "error_types", "line"),
    [
        ("def f(x):\n    return x +\n", {"SyntaxError"}, 2),
        ("def f(x):\nreturn x\n", {"IndentationError"}, 2),
        ("def f(x):\n\tif x:\n        return x\n", {"TabError"}, 3),
        ("x = 1\0", {"SyntaxError", "ValueError"}, None),
        ("x = '\ud800'", {"UnicodeEncodeError"}, None),
        ("(" * 5000 + ")" * 5000, {"SyntaxError", "MemoryError", "RecursionError"}, 1),
        ("x = " + "-" * 20_000 + "1", {"MemoryError", "RecursionError", "SyntaxError"}, None),
        ("x = " + "1+" * 20_000 + "1", {"MemoryError", "RecursionError"}, None),
    ],
    ids=["operand", "indent", "tab", "nul", "surrogate", "parentheses", "unary", "binary"],
)
def test_syntax_error(sandbox, program, error_types, line):
    """Bug: a text that the compiler refuses (also by ValueError or MemoryError) breaks the harness."""
    outcome = run(sandbox, program)
    assert outcome.stage == Stage.SYNTAX_ERROR
    assert outcome.error_type in error_types
    assert outcome.line == line
    assert outcome.tests == ("not run",) * 3
    assert not outcome.timed_out


@pytest.mark.parametrize(
    ("program", "error_type", "line"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError", 1),
        ("def f(x):\n    return x + 1\n\nf('a')\n", "TypeError", 2),
        ("def f(x): return x + 1\nimport sys\nsys.exit(0)", "SystemExit", 3),
        ("def f(x): return x + 1\nraise SystemExit", "SystemExit", 2),
        ("def f(x): return x + 1\nexit()", "SystemExit", 2),
        ("def f(x): return x + 1\nraise KeyboardInterrupt", "KeyboardInterrupt", 2),
        ("def f(x): return x + 1\nimport os\nos._exit(0)", "Crash", None),
        ("def f(x): return x + 1\nimport os\nos.abort()", "Crash", None),
        ("def f(x): return x + 1\ninput()", "EOFError", 2),
        ("def f(x): return x + 1\nwhile True: pass", "Timeout", None),
    ],
)
def test_body_fails(sandbox, program, error_type, line):
    """Bug: a module body that leaves early counts as run, or its functions are tested all the same."""
    outcome = run(sandbox, program)
    assert (outcome.stage, outcome.error_type, outcome.line) == (Stage.PARSES, error_type, line)
    assert outcome.tests == ("not run",) * 3
    assert outcome.timed_out == (error_type == "Timeout")


@pytest.mark.parametrize("program", ["def g(x):\n    return x + 1\n", "f = 3\n", "", "# nothing\n"])
def test_entry_point_missing(sandbox, program):
    """Bug: a program without the function is given more than RUNS, or a NameError that hides the cause."""
    outcome = run(sandbox, program)
    assert (outcome.stage, outcome.error_type) == (Stage.RUNS, "EntryPointMissing")


def test_no_value_is_runs_and_a_wrong_value_is_output(sandbox):
    """Bug: a missing return earns the same stage as a wrong value, or a value on one test is overlooked."""
    nothing = run(sandbox, "def f(x):\n    x + 1\n")
    assert (nothing.stage, nothing.error_type, nothing.line) == (Stage.RUNS, "AssertionError", None)
    raises = run(sandbox, "def f(x):\n    y = x\n    return y.size\n")
    assert (raises.stage, raises.error_type, raises.line) == (Stage.RUNS, "AttributeError", 3)
    wrong = run(sandbox, "def f(x):\n    return x\n")
    assert (wrong.stage, wrong.error_type, wrong.tests) == (Stage.OUTPUT, "AssertionError", ("wrong",) * 3)
    once = run(sandbox, "def f(x):\n    return 0 if x == 3 else None\n")
    assert once.stage == Stage.OUTPUT


@pytest.mark.parametrize("k", [1, 2])
def test_partial_counts_k_of_t(sandbox, k):
    """Bug: k is not the number of passed tests, or the first failure stops the count."""
    outcome = run(sandbox, f"def f(x):\n    return x + 1 if x > {3 - k} else [][x]\n")
    assert (outcome.stage, outcome.passed, outcome.total) == (Stage.PARTIAL, k, 3)
    assert outcome.tests == ("IndexError",) * (3 - k) + ("passed",) * k
    assert (outcome.error_type, outcome.line) == ("IndexError", 2)


def test_line_is_the_deepest_of_the_program(sandbox):
    """Bug: the line is that of the outer call, or of a library file or the test."""
    outcome = run(sandbox, "import json\ndef g(x):\n    return json.loads(x)\ndef f(x):\n    return g('{')\n")
    assert (outcome.error_type, outcome.line) == ("JSONDecodeError", 3)


def test_the_programs_own_assertion_is_not_a_wrong_value(sandbox):
    """Bug: `assert` inside the program is taken for the test's own, and no line is given."""
    outcome = run(sandbox, "def f(x):\n    assert x > 5\n    return x\n")
    assert (outcome.stage, outcome.line) == (Stage.RUNS, 2)
    assert outcome.tests == ("AssertionError",) * 3


@pytest.mark.parametrize("leave", ["os._exit(0)", "os.kill(os.getpid(), 9)", "ctypes.string_at(0)"])
def test_crash_in_one_test_keeps_the_others(sandbox, leave):
    """Bug: leaving in a test passes it, or loses the tests before or after it."""
    outcome = run(sandbox, f"import os, ctypes\ndef f(x):\n    if x == 2:\n        {leave}\n    return x + 1\n")
    assert outcome.tests == ("passed", "crash", "passed")
    assert (outcome.stage, outcome.error_type, outcome.timed_out) == (Stage.PARTIAL, "Crash", False)


@pytest.mark.parametrize("leave", ["sys.exit(0)", "raise SystemExit(0)", "exit(0)", "quit()"])
def test_system_exit_in_the_function_does_not_pass(sandbox, leave):
    """Bug: SystemExit is not an Exception, so it slips through to a clean exit status."""
    outcome = run(sandbox, f"import sys\ndef f(x):\n    {leave}\n")
    assert (outcome.stage, outcome.tests) == (Stage.RUNS, ("SystemExit",) * 3)
    assert outcome.line == 3


def test_timeout_keeps_what_came_before_and_stops(sandbox):
    """Bug: a loop in the second test loses the first, or every further test costs another time limit."""
    outcome = run(sandbox, "def f(x):\n    while x > 1: pass\n    return x + 1\n")
    assert outcome.tests == ("passed", "timeout", "not run")
    assert (outcome.stage, outcome.error_type, outcome.timed_out) == (Stage.PARTIAL, "Timeout", True)


def test_recursion(sandbox):
    """Bug: infinite recursion takes the harness down; or the program's own calls go through the wrapper."""
    endless = run(sandbox, "def f(x):\n    return f(x)\n")
    assert (endless.stage, endless.error_type, endless.line) == (Stage.RUNS, "RecursionError", 2)
    # g keeps the raw function, so `f is g` holds inside, and an inner value is not an outer one.
    program = "def f(x):\n    if x == 0: return 1\n    f(x - 1)\n    assert f is g\n\ng = f\n"
    assert run(sandbox, program).stage == Stage.RUNS


def test_class_entry_point(sandbox):
    """Bug: the recording wrapper breaks isinstance, class attributes, or subclassing of an entry point."""
    program = "class Box:\n    size = 7\n    def __init__(self, x): self.x = x\n    def get(self): return self.x\n"
    tests = (
        "assert Box(3).get() == 3",
        "assert isinstance(Box(3), Box) and not isinstance(3, Box)",
        "assert Box.size == 7",
        "class Sub(Box):\n    pass\nassert Sub(4).get() == 4",
        "assert Box(1).get() == 2",
    )
    outcome = run(sandbox, program, tests, "Box")
    assert outcome.tests == ("passed",) * 4 + ("wrong",)
    assert run(sandbox, program, ("assert Box(1).get() == 2",), "Box").stage == Stage.OUTPUT


def test_setup_and_broken_tests(sandbox):
    """Bug: the setup's names are not seen by the tests; a test that does not compile spoils the others."""
    program = "def f(x):\n    return x + 1\n"
    tests = ("assert math.isclose(f(1), two)", "assert f(", "assert f(1) == 2")
    outcome = run(sandbox, program, tests, setup="import math\ntwo = 2")
    assert outcome.tests == ("passed", "SyntaxError", "passed")
    assert run(sandbox, program, setup="import nowhere_at_all").tests == ("ModuleNotFoundError",) * 3


def test_dataclasses_with_postponed_annotations(sandbox):
    """Bug: the program's module is not in sys.modules, and dataclasses fail on string annotations."""
    program = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass P:\n    x: int\n\ndef f(x):\n    return P(x).x + 1\n"
    )
    assert run(sandbox, program).stage == Stage.PASSED


def test_to_json(sandbox):
    """Bug: an outcome cannot be written as one line of JSON, or the stage is a bare number."""
    line = run(sandbox, "def f(x):\n    return [][x]\n").to_json()
    record = json.loads(line)
    assert "\n" not in line
    assert (record["stage"], record["error_type"], record["tests"]) == (
        "RUNS",
        "IndexError",
        ["IndexError"] * 3,
    )


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Job(b"x", TESTS, "f"), "Job.program"),
        (lambda: Job("x", list(TESTS), "f"), "Job.tests"),
        (lambda: Job("x", (), "f"), "Job.tests"),
        (lambda: Job("x", TESTS, None), "Job.entry_point"),
        (lambda: Limits(cpu_seconds=0), "Limits.cpu_seconds"),
        (lambda: Limits(processes=2.5), "Limits.processes"),
        (lambda: Sandbox(workers=0), "workers"),
    ],
)
def test_bad_input(make, field):
    """Bug: a wrong field fails later and elsewhere, or no tests at all count as all passed."""
    with pytest.raises(ValueError, match=field):
        make()
