"""Every stage, error type and failing place, and what the outcome of an ordinary bad program looks like."""

import json

import pytest

from sandbox import Case, Limits, Outcome, Sandbox, Stage, Task, Verdict

TESTS = ("assert f(1) == 2", "assert f(2) == 3", "assert f(3) == 4")


@pytest.fixture(scope="module")
def judge():
    # One budget for the program as for one test: a loop costs its limit once.
    limits = Limits(test_cpu_seconds=0.5, test_wall_seconds=10.0, program_cpu_seconds=0.5, program_wall_seconds=10.0)
    with Sandbox(slots=1, limits=limits) as judge:
        yield judge


def run(judge, program, tests=TESTS, entry_point="f", setup=""):
    return judge.run([Task(program, tests, entry_point, setup)])[0]


def words(outcome):
    """The verdicts' words; of an exception its type instead."""
    return tuple(v.error_type if v.word == "error" else v.word for v in outcome.tests)


def test_passed(judge):
    """Bug: a correct program is not PASSED, its outcome names an error, or what it prints is lost or in disorder."""
    outcome = run(
        judge, "import sys\ndef f(x):\n    print('out', x)\n    print('err', file=sys.stderr)\n    return x + 1\n"
    )
    expected = Outcome(
        stage=Stage.PASSED,
        passed=3,
        total=3,
        error_type=None,
        line=None,
        column=None,
        tests=(Verdict("passed"),) * 3,
        timeout=None,
        out_of_memory=False,
        signal=None,
        exit_code=None,
        tamper=None,
        output=outcome.output,
        lines=None,
        cpu_seconds=outcome.cpu_seconds,
        seconds=outcome.seconds,
        peak_bytes=outcome.peak_bytes,
    )
    assert outcome == expected
    assert sorted(outcome.output.splitlines()) == ["err"] * 3 + ["out 1", "out 2", "out 3"]
    assert 0 < outcome.cpu_seconds <= outcome.seconds
    assert 1 << 20 < outcome.peak_bytes < 1 << 28


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
        ("from __future__ import braces", {"SyntaxError"}, 1),
    ],
    ids=["operand", "indent", "tab", "nul", "surrogate", "parentheses", "unary", "binary", "future"],
)
def test_syntax_error(judge, program, error_types, line):
    """Bug: a text that the compiler refuses (also by ValueError or MemoryError) breaks the child, or may run."""
    outcome = run(judge, program)
    assert outcome.stage == Stage.SYNTAX_ERROR
    assert outcome.error_type in error_types
    assert outcome.line == line
    assert words(outcome) == ("not run",) * 3
    assert outcome.timeout is None


def test_place_of_a_syntax_error(judge):
    """Bug: the column of a syntax error is counted from 1 while all others are counted from 0."""
    outcome = run(judge, "def f(x):\n    return x ) 1\n")
    assert (outcome.error_type, outcome.line, outcome.column) == ("SyntaxError", 2, 13)


@pytest.mark.parametrize(
    ("program", "error_type", "line", "exit_code"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError", 1, None),
        ("def f(x):\n    return x + 1\n\nf('a')\n", "TypeError", 2, None),
        ("def f(x): return x + 1\nimport sys\nsys.exit(0)", "SystemExit", 3, None),
        ("def f(x): return x + 1\nraise SystemExit", "SystemExit", 2, None),
        ("def f(x): return x + 1\nexit()", "SystemExit", 2, None),
        ("def f(x): return x + 1\nraise KeyboardInterrupt", "KeyboardInterrupt", 2, None),
        ("def f(x): return x + 1\nraise GeneratorExit", "GeneratorExit", 2, None),
        ("def f(x): return x + 1\nimport os\nos._exit(0)", "Crash", None, 0),
        ("def f(x): return x + 1\nimport os\nos._exit(7)", "Crash", None, 7),
        ("def f(x): return x + 1\ninput()", "EOFError", 2, None),
        ("def f(x): return x + 1\nwhile True: pass", "Timeout", None, None),
    ],
)
def test_body_fails(judge, program, error_type, line, exit_code):
    """Bug: a module body that leaves early counts as run, or its functions are tested all the same."""
    outcome = run(judge, program)
    assert (outcome.stage, outcome.error_type, outcome.line) == (Stage.PARSES, error_type, line)
    assert words(outcome) == ("not run",) * 3
    assert outcome.timeout == ("cpu" if error_type == "Timeout" else None)
    assert (outcome.signal, outcome.exit_code) == (None, exit_code)


def test_why_the_body_failed_is_known_every_time(judge):
    """Bug: the child has said why its body failed and gone; the judge, about to write to it, calls that a crash."""
    programs = [f"# {i}\nraise ValueError('a')\n" for i in range(30)]
    outcomes = judge.run([Task(program, TESTS, "f") for program in programs])
    assert {(outcome.error_type, outcome.line) for outcome in outcomes} == {("ValueError", 2)}


@pytest.mark.parametrize("program", ["def g(x):\n    return x + 1\n", "f = 3\n", "", "# nothing\n", "f = None"])
def test_entry_point_missing(judge, program):
    """Bug: a program without the function is given more than RUNS, or a NameError that hides the cause."""
    outcome = run(judge, program)
    assert (outcome.stage, outcome.error_type) == (Stage.RUNS, "EntryPointMissing")
    assert words(outcome) == ("not run",) * 3


def test_no_value_is_runs_and_a_wrong_value_is_output(judge):
    """Bug: a missing return earns the same stage as a wrong value, or a value on one test is overlooked."""
    nothing = run(judge, "def f(x):\n    x + 1\n")
    assert (nothing.stage, nothing.error_type, nothing.line) == (Stage.RUNS, "AssertionError", None)
    raises = run(judge, "def f(x):\n    y = x\n    return y.size\n")
    assert (raises.stage, raises.error_type, raises.line) == (Stage.RUNS, "AttributeError", 3)
    wrong = run(judge, "def f(x):\n    return x\n")
    assert (wrong.stage, wrong.error_type, words(wrong)) == (Stage.OUTPUT, "AssertionError", ("wrong",) * 3)
    assert [v.value for v in wrong.tests] == ["1", "2", "3"]
    once = run(judge, "def f(x):\n    return 0 if x == 3 else None\n")
    assert once.stage == Stage.OUTPUT


def test_repr_of_a_wrong_value_is_short(judge):
    """Bug: a record carries megabytes of a wrong value, or a value without a repr breaks the judge."""
    program = "def f(x):\n    return {1: 'x' * 10**5, 2: list(range(10**4)), 3: 10**5000}[x]\n"
    outcome = run(judge, program)
    assert words(outcome) == ("wrong",) * 3
    assert all(0 < len(v.value) <= 200 for v in outcome.tests)


@pytest.mark.parametrize("k", [1, 2])
def test_partial_counts_k_of_t(judge, k):
    """Bug: k is not the number of passed tests, or the first failure stops the count."""
    outcome = run(judge, f"def f(x):\n    return x + 1 if x > {3 - k} else [][x]\n")
    assert (outcome.stage, outcome.passed, outcome.total) == (Stage.PARTIAL, k, 3)
    assert words(outcome) == ("IndexError",) * (3 - k) + ("passed",) * k
    assert (outcome.error_type, outcome.line, outcome.column) == ("IndexError", 2, 31)


def test_line_is_the_deepest_of_the_program(judge):
    """Bug: the line is that of the outer call, or of a library file or the test."""
    outcome = run(judge, "import json\ndef g(x):\n    return json.loads(x)\ndef f(x):\n    return g('{')\n")
    assert (outcome.error_type, outcome.line) == ("JSONDecodeError", 3)


def test_the_programs_own_assertion_is_not_a_wrong_value(judge):
    """Bug: `assert` inside the program is taken for the test's own, and no line is given."""
    outcome = run(judge, "def f(x):\n    assert x > 5\n    return x\n")
    assert (outcome.stage, outcome.line) == (Stage.RUNS, 2)
    assert words(outcome) == ("AssertionError",) * 3


@pytest.mark.parametrize(
    ("leave", "signal", "exit_code"),
    [
        ("os._exit(0)", None, 0),
        ("os._exit(9)", None, 9),
        ("ctypes.string_at(0)", "SIGSEGV", None),
    ],
)
def test_crash_in_one_test_keeps_the_others(judge, leave, signal, exit_code):
    """Bug: leaving in a test passes it, or loses the tests before or after it, or how it ended is not told."""
    program = f"import os, ctypes\ndef f(x):\n    if x == 2:\n        {leave}\n    return x + 1\n"
    outcome = run(judge, program)
    assert words(outcome) == ("passed", "crash", "passed")
    assert (outcome.stage, outcome.error_type, outcome.timeout) == (Stage.PARTIAL, "Crash", None)
    assert (outcome.signal, outcome.exit_code) == (signal, exit_code)


@pytest.mark.parametrize("leave", ["sys.exit(0)", "raise SystemExit(0)", "exit(0)", "quit()"])
def test_system_exit_in_the_function_does_not_pass(judge, leave):
    """Bug: SystemExit is not an Exception, so it slips through to a clean exit status."""
    outcome = run(judge, f"import sys\ndef f(x):\n    {leave}\n")
    assert (outcome.stage, words(outcome)) == (Stage.RUNS, ("SystemExit",) * 3)
    assert outcome.line == 3


def test_timeout_costs_one_test():
    """Bug: a loop in the second test loses the first or the third."""
    with Sandbox(slots=1, limits=Limits(test_cpu_seconds=0.2, test_wall_seconds=10.0)) as judge:
        outcome = run(judge, "def f(x):\n    while x == 2: pass\n    return x + 1\n")
    assert words(outcome) == ("passed", "timeout", "passed")
    assert (outcome.stage, outcome.error_type, outcome.timeout) == (Stage.PARTIAL, "Timeout", "cpu")


def test_budget_of_the_program_ends_it(judge):
    """Bug: a program that loops in every test is given the limit of a test as often as there are tests."""
    outcome = run(judge, "def f(x):\n    while x > 1: pass\n    return x + 1\n")
    assert words(outcome) == ("passed", "timeout", "not run")


def test_recursion(judge):
    """Bug: infinite recursion takes the child down, or inner calls of the program go through the judge."""
    endless = run(judge, "def f(x):\n    return f(x)\n")
    assert (endless.stage, endless.error_type, endless.line) == (Stage.RUNS, "RecursionError", 2)
    # `f is g` holds inside, and an inner value is not an outer one.
    program = "def f(x):\n    if x == 0: return 1\n    f(x - 1)\n    assert f is g\n\ng = f\n"
    assert run(judge, program).stage == Stage.RUNS


def test_setup_and_broken_tests(judge):
    """Bug: the setup's names are not seen by the tests; a test that does not compile spoils the others."""
    program = "def f(x):\n    return x + 1\n"
    tests = ("assert math.isclose(f(1), two)", "assert f(", "assert f(1) == 2")
    outcome = run(judge, program, tests, setup="import math\ntwo = 2")
    assert words(outcome) == ("passed", "InvalidTest", "passed")
    broken = run(judge, program, setup="import nowhere_at_all")
    assert (broken.passed, broken.error_type) == (0, "ModuleNotFoundError")
    assert words(broken) == ("not run",) * 3


def test_dataclasses_with_postponed_annotations(judge):
    """Bug: the program's module is not in sys.modules, and dataclasses fail on string annotations."""
    program = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass P:\n    x: int\n\ndef f(x):\n    return P(x).x + 1\n"
    )
    assert run(judge, program).stage == Stage.PASSED


def test_name_guard_is_not_taken_when_calls_are_tested(judge):
    """Bug: `if __name__ == "__main__":` runs, and reads a stdin that is empty."""
    program = "def f(x):\n    return x + 1\n\nif __name__ == '__main__':\n    print(f(int(input())))\n"
    assert run(judge, program).stage == Stage.PASSED


def test_future_imports_of_the_judge_do_not_leak(judge):
    """Bug: the program is compiled with the flags of the file that compiles it."""
    program = "def f(x: int):\n    return x + (f.__annotations__['x'] is int)\n"
    assert run(judge, program).stage == Stage.PASSED


def test_to_dict(judge):
    """Bug: an outcome cannot be written as one line of JSON, or the stage is a bare number."""
    line = json.dumps(run(judge, "def f(x):\n    print('\\ud800', '\\n')\n    return [][x]\n").to_dict())
    record = json.loads(line)
    assert "\n" not in line
    assert (record["stage"], record["error_type"]) == ("RUNS", "UnicodeEncodeError")
    assert [test["word"] for test in record["tests"]] == ["error"] * 3


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Task(b"x", TESTS, "f"), "Task.program"),
        (lambda: Task("x", list(TESTS), "f"), "Task.tests"),
        (lambda: Task("x", (1,), "f"), "Task.tests"),
        (lambda: Task("x", (), "f"), "without a test"),
        (lambda: Task("x", TESTS, "f", check="def check(c): pass"), "one of"),
        (lambda: Task("x", check="def check(c): pass"), "Task.entry_point"),
        (lambda: Task("x", TESTS, None), "Task.entry_point"),
        (lambda: Task("x", TESTS, "f("), "Task.entry_point"),
        (lambda: Task("x", TESTS, "f", tolerance=0.1), "Task.tolerance"),
        (lambda: Task("x", cases=(("1", "2"),)), "Task.cases"),
        (lambda: Task("x", TESTS, want_lines=1), "Task.want_lines"),
        (lambda: Task("x", TESTS, want_values=1), "Task.want_values must be true or false"),
        (lambda: Task("x", cases=(Case("1", "2"),), want_values=True), "Task.want_values is for tests"),
        (lambda: Task("x", TESTS, cpu_seconds=-1.0), "Task.cpu_seconds"),
        (lambda: Task("x", TESTS, cpu_seconds=float("nan")), "Task.cpu_seconds"),
        (lambda: Task("x", TESTS, cpu_seconds=True), "Task.cpu_seconds"),
        (lambda: Task("x", TESTS, cpu_seconds=5000.0), "Task.cpu_seconds must be 0, or from 0.01 to 3600.0"),
        (lambda: Task("x", TESTS, support=None), "Task.support"),
        (lambda: Limits(test_cpu_seconds=0), "Limits.test_cpu_seconds"),
        (lambda: Limits(test_wall_seconds=float("inf")), "Limits.test_wall_seconds"),
        (lambda: Limits(program_cpu_seconds=float("nan")), "Limits.program_cpu_seconds"),
        (lambda: Limits(judge_cpu_seconds=True), "Limits.judge_cpu_seconds"),
        (lambda: Limits(memory_bytes=512), "Limits.memory_bytes"),
        (lambda: Limits(output_bytes=-1), "Limits.output_bytes"),
        (lambda: Limits(reply_bytes=1 << 40), "Limits.reply_bytes"),
        (lambda: Limits(threads=2.5), "Limits.threads"),
        (lambda: Sandbox(slots=0), "slots"),
        (lambda: Sandbox(without=("nothing of the kind",)), "nothing of the kind"),
    ],
)
def test_bad_input(make, field):
    """Bug: a wrong field fails later and elsewhere, or no tests at all count as all passed."""
    with pytest.raises(ValueError, match=field):
        make()
