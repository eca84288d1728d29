"""Programs that read stdin and write stdout: one process a case, lines compared in the judge."""

import pytest

from sandbox import Case, Limits, Sandbox, Stage, Task
from sandbox.judge.cases import same_output


@pytest.fixture(scope="module")
def judge():
    limits = Limits(test_cpu_seconds=0.5, test_wall_seconds=10.0, output_bytes=1 << 20)
    with Sandbox(slots=1, limits=limits) as judge:
        yield judge


def run(judge, program, *cases, **fields):
    return judge.run([Task(program, cases=tuple(Case(*case) for case in cases), **fields)])[0]


def words(outcome):
    """The verdicts' words; of an exception its type instead."""
    return [v.error_type if v.word == "error" else v.word for v in outcome.tests]


DOUBLE = "import sys\nfor line in sys.stdin:\n    print(int(line) * 2)\n"


def test_each_case_is_a_run_of_its_own(judge):
    """Bug: a case sees the stdin, the variables or the output of another."""
    program = "n = globals().get('n', 0) + 1\nprint(int(input()) * 2, n)\n"
    outcome = run(judge, program, ("1", "2 1"), ("2\n", "4 1\n"), ("3\n9\n", "6 1"), ("4", "8 2"))
    assert (words(outcome), outcome.stage) == (["passed"] * 3 + ["wrong"], Stage.PARTIAL)
    assert outcome.tests[3].value == "'8 1\\n'"
    assert outcome.output == "8 1\n"


@pytest.mark.parametrize(
    ("printed", "word"),
    [
        ("1 2\n3", "passed"),
        (" 1  2 \n\n3\n\n", "passed"),
        ("\t1 2\r\n3\r\n", "passed"),
        ("1\n2\n3", "wrong"),
        ("1 2 3", "wrong"),
        ("1\n2 3", "wrong"),
        ("1 2\r3", "wrong"),
        ("1 2\n3\n4", "wrong"),
        ("12\n3", "wrong"),
        ("1 2", "wrong"),
        ("1 2\n", "wrong"),
        ("1 2 3 4", "wrong"),
        ("0 1 2 3", "wrong"),
        ("", "wrong"),
        ("123", "wrong"),
        ("1 2 3.0", "wrong"),
        ("1 2 03", "wrong"),
        ("1 2 3\0", "wrong"),
        ("3 2 1", "wrong"),
    ],
)
def test_all_lines_in_order(judge, printed, word):
    """Bug: a missing or extra line, words on another line, or another order passes; or a blank too many fails."""
    assert words(run(judge, f"print({printed!r}, end='')", ("", "1 2\n3\n"))) == [word]


@pytest.mark.parametrize(
    ("printed", "expected", "tolerance", "same"),
    [
        ("1.0000001", "1", 1e-6, True),
        ("1.00001", "1", 1e-6, False),
        ("1000000.5", "1000000", 1e-6, True),
        ("1e6", "1000000", 1e-6, True),
        ("1e6", "1000000", 0.0, False),
        ("0.0000001", "0", 1e-6, True),
        ("nan", "1", 1e-6, False),
        ("inf", "1", 1e-6, False),
        ("inf", "1e999", 1e-6, False),
        ("9" * 400 + ".0", "8" * 400 + ".0", 1e-6, False),
        ("1000000008", "1000000007", 1e-6, False),
        ("1000000008.0", "1000000007", 1e-6, True),
        ("nan", "nan", 0.0, True),
        ("yes", "1", 1e-6, False),
        ("yes 1.0", "yes 1", 1e-6, True),
        ("yes\n1.0", "yes 1", 1e-6, False),
        ("1.0\n2", "1\n2.0", 1e-6, True),
        ("1_0", "10", 0.0, False),
        ("", "", 0.0, True),
        ("x", "", 0.0, False),
    ],
)
def test_tolerance(printed, expected, tolerance, same):
    """Bug: a tolerance is only absolute, or only relative; NaN is near to everything; numbers too large for a float
    are all the same; a large count may be one off; words need to be numbers."""
    assert same_output(printed, expected, tolerance) == same
    assert not same_output(printed + " 5", expected, tolerance)


def test_tolerance_is_the_tasks(judge):
    """Bug: the tolerance does not reach the judge, or stays for the next task."""
    assert run(judge, "print(0.1 + 0.2)", ("", "0.3"), tolerance=1e-9).stage == Stage.PASSED
    assert run(judge, "print(0.1 + 0.2)", ("", "0.3")).stage == Stage.OUTPUT


@pytest.mark.parametrize(
    ("end", "word", "exit_code"),
    [
        ("", "passed", 0),
        ("import sys; sys.exit()", "passed", 0),
        ("import sys; sys.exit(0)", "passed", 0),
        ("raise SystemExit(None)", "passed", 0),
        ("exit()", "passed", 0),
        ("quit(0)", "passed", 0),
        ("import sys; sys.stdout.flush(); import os; os._exit(0)", "passed", 0),
        ("import os; os._exit(0)", "wrong", 0),
        ("import sys; sys.exit(3)", "SystemExit", 3),
        ("import sys; sys.exit('sorry')", "SystemExit", 1),
        ("import sys; sys.exit(256 + 7)", "SystemExit", 7),
        ("1 / 0", "ZeroDivisionError", 1),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", 1),
        ("import sys; sys.stdout.flush(); import os; os._exit(2)", "crash", 2),
    ],
)
def test_how_it_ends(judge, end, word, exit_code):
    """Bug: a right answer before a failing end passes, or sys.exit(), the usual last line of a script, fails."""
    outcome = run(judge, f"print(5)\n{end}\n", ("", "5"))
    assert (words(outcome), outcome.exit_code) == ([word], exit_code)
    assert outcome.stage == (Stage.PASSED if word == "passed" else Stage.PARSES if exit_code else Stage.RUNS)


def test_stages(judge):
    """Bug: a program that prints nothing is given more than one that does not run, or the other way round."""
    assert run(judge, "print(1", ("", "1")).stage == Stage.SYNTAX_ERROR
    assert run(judge, "x = 1 / 0", ("", "1")).stage == Stage.PARSES
    assert run(judge, "x = 1", ("", "1")).stage == Stage.RUNS
    assert run(judge, "print(2)", ("", "1")).stage == Stage.OUTPUT
    assert run(judge, "print(input())", ("1", "1"), ("2", "1")).stage == Stage.PARTIAL
    nothing_wanted = run(judge, "pass", ("", ""))
    assert (nothing_wanted.stage, words(nothing_wanted)) == (Stage.PASSED, ["passed"])


def test_place_of_an_error(judge):
    """Bug: an error in a case has no place, or the first case's error hides the others."""
    outcome = run(judge, DOUBLE, ("1", "2"), ("a", "2"), ("", ""))
    assert words(outcome) == ["passed", "ValueError", "passed"]
    assert (outcome.error_type, outcome.line, outcome.column) == ("ValueError", 3, 10)


def test_reading_past_the_end(judge):
    """Bug: input() past the end waits for ever."""
    outcome = run(judge, "print(input())\nprint(input())\n", ("1\n", "1"))
    assert (words(outcome), outcome.line) == (["EOFError"], 2)


@pytest.mark.parametrize("read", ["sys.stdin.read()", "open(0).read()", "sys.stdin.buffer.read().decode()", "input()"])
def test_large_stdin(judge, read):
    """Bug: more than a pipe's buffer on stdin deadlocks, or is cut off."""
    text = "x" * 3_000_000
    assert run(judge, f"import sys\nprint(len({read}))", (text, "3000000")).stage == Stage.PASSED


def test_text_is_utf8(judge):
    """Bug: stdin and stdout are in the locale's encoding (ASCII, in an empty environment)."""
    text = "é 漢 😀"
    assert run(judge, "print(input()[::-1])", (text, text[::-1])).stage == Stage.PASSED
    assert run(judge, f"print({text!r})", ("", text)).stage == Stage.PASSED
    invalid = run(judge, "import os\nos.write(1, b'\\xff\\xfe')", ("", "x"))
    assert words(invalid) == ["wrong"]
    assert run(judge, "print(len(input().encode('utf-8', 'surrogateescape')))", ("\ud800", "3")).total == 1


def test_stderr_is_not_compared(judge):
    """Bug: a warning on stderr fails a right program, or the answer on stderr passes a wrong one."""
    warn = "import sys\nprint('5', file=sys.stderr)\nprint({}, end='')\n"
    assert words(run(judge, warn.format("5"), ("", "5"))) == ["passed"]
    assert words(run(judge, warn.format("''"), ("", "5"))) == ["wrong"]


def test_output_beyond_the_limit(judge):
    """Bug: output is cut off in silence, and the part before the cut passes; or 200 MB of it are kept."""
    size = 1 << 20
    just = run(judge, f"print('x' * ({size} - 2))", ("", "x" * (size - 2)))
    assert words(just) == ["passed"]
    loud = "import os\ntry:\n    while True: os.write(1, b'1 ' * 50_000)\nexcept OSError:\n    pass\n"
    for program in (f"print('x' * {size})", loud, "for _ in range(10**6): print('12345678901234567890')"):
        outcome = run(judge, program, ("", "x" * size))
        assert (words(outcome), outcome.stage <= Stage.OUTPUT) == (["OutputTruncated"], True)
        assert len(outcome.output) <= 2000


@pytest.mark.parametrize(
    ("body", "kind"), [("while True: pass", "cpu"), ("pow(3, 10**9)", "cpu"), ("import time\ntime.sleep(60)", "wall")]
)
def test_time(body, kind):
    """Bug: a case that hangs loses the others, or is not ended; or the sleep of one is another's timeout."""
    limits = Limits(test_cpu_seconds=0.2 if kind == "cpu" else 10.0, test_wall_seconds=0.4 if kind == "wall" else 20.0)
    program = "x = input()\nif x == '2':\n" + "".join(f"    {line}\n" for line in body.split("\n")) + "print(x)\n"
    with Sandbox(slots=1, limits=limits) as judge:
        outcome = run(judge, program, ("1", "1"), ("2", "2"), ("3", "3"))
    assert (words(outcome), outcome.timeout) == (["passed", "timeout", "passed"], kind)
    assert outcome.stage == Stage.PARTIAL


def test_right_output_before_a_hang_does_not_pass():
    """Bug: what was printed before the clock ran out is compared and passes."""
    with Sandbox(slots=1, limits=Limits(test_cpu_seconds=0.1, test_wall_seconds=10.0)) as judge:
        outcome = run(judge, "print(5, flush=True)\nwhile True: pass\n", ("", "5"))
    assert (words(outcome), outcome.passed) == (["timeout"], 0)


def test_threads_with_deep_recursion(judge):
    """Bug: the usual idiom of competitive programming (a thread with a large stack) fails, or is not waited for."""
    program = (
        "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(1 << 26)\n"
        "def depth(n): return 0 if n == 0 else 1 + depth(n - 1)\n"
        "def main(): print(depth(int(input())))\n"
        "threading.Thread(target=main).start()\n"
    )
    assert run(judge, program, ("20000", "20000")).stage == Stage.PASSED


def test_exit_handlers_and_main_guard(judge):
    """Bug: a script is not run as `__main__`, or what it prints at exit is lost."""
    program = (
        "import atexit, sys\natexit.register(print, 6)\nif __name__ == '__main__':\n    print(5)\n    sys.exit()\n"
    )
    assert run(judge, program, ("", "5\n6")).stage == Stage.PASSED


def test_replaced_stdout(judge):
    """Bug: the fast-output templates of competitive programming, which Python flushes at exit, print nothing."""
    program = (
        "import io, os, sys\nclass Fast(io.StringIO):\n    def flush(self):\n"
        "        os.write(1, self.getvalue().encode())\n        self.seek(0)\n        self.truncate()\n"
        "sys.stdout = Fast()\nprint(5)\n"
    )
    assert run(judge, program, ("", "5")).stage == Stage.PASSED


@pytest.mark.parametrize(
    "look",
    [
        "open('/proc/self/fd/1').read()",
        "__import__('os').pread(100, 100, 0)",
        "__import__('os').read(1, 100)",
        "open('/dev/fd/2').read()",
    ],
)
def test_expected_output_is_not_in_the_process(judge, look):
    """Bug: the expected output lies in a file or on a descriptor that the program can read."""
    program = f"try:\n    x = {look}\nexcept OSError:\n    x = ''\nprint(x if type(x) is str else x.decode())\n"
    assert run(judge, program, ("", "swordfish")).passed == 0


def test_messages_to_the_judge_earn_nothing(judge):
    """Bug: a script that writes to the judge's socket passes, or ends the judge."""
    say = "import os, struct\ndef say(body): os.write(100, struct.pack('>I', len(body)) + body)\n"
    for message in ("b'[\"passed\"]'", "b'[\"failed\"]'", "b'[\"failed\", 1, 2, 3, 4]'", "b'{}'", "b''", "b'[' * 9999"):
        outcome = run(judge, f"{say}say({message})\nprint(4)\n", ("", "5"))
        assert (outcome.passed, outcome.error_type != "SlotLost") == (0, True)
    huge = run(judge, f"{say}print(5)\nimport sys; sys.stdout.flush()\nos.write(100, b'\\xff' * 9)\n", ("", "5"))
    assert (huge.error_type, huge.passed, words(huge)) == ("Tampering", 0, ["void"])


def test_executed_lines(judge):
    """Bug: the lines of a case are not told, or are those of another one."""
    program = "x = input()\nif x == '1':\n    print(1)\nelse:\n    print(2)\n"
    outcome = run(judge, program, ("1", "1"), ("2", "2"), want_lines=True)
    assert [v.lines for v in outcome.tests] == [(1, 2, 3), (1, 2, 5)]
    assert outcome.lines == (1, 2, 3, 5)
