"""What goes in and what comes out: Task, Limits, Stage, Verdict, Outcome.

Covered: a task without tests and a limit outside its range are refused here, by name, before any process sees them.
Not covered: whether the tests are good. A weak test passes a weak program.
"""

import dataclasses
import enum
import math
from dataclasses import dataclass

# Smallest and largest allowed value. They catch wrong units (milliseconds for seconds).
_TEST_SECONDS, _PROGRAM_SECONDS = (0.01, 3600.0), (0.01, 36000.0)


def _within(default: float, least: float, most: float) -> float:
    return dataclasses.field(default=default, metadata={"range": (least, most)})


class Stage(enum.IntEnum):
    """How far a program came.

    SYNTAX_ERROR  it does not compile
    PARSES        it compiles, but its module body raises, exits, crashes or runs out of time
    RUNS          the body ran; the entry point is missing, or no call by a test returned anything except None
                  (cases: it ended with status 0, but printed nothing on any case)
    OUTPUT        a test's call returned a value (cases: something was printed); no test passed
    PARTIAL       0 < k < T tests passed
    PASSED        all T tests passed

    PASSED, PARTIAL and the number k rest on values that the judge compared itself. PARSES is settled before the
    program's first instruction. RUNS and OUTPUT rest on what the program's own process reports: a program can fake
    them, but `pass` and `return 0` earn the same.
    """

    SYNTAX_ERROR = 0
    PARSES = 1
    RUNS = 2
    OUTPUT = 3
    PARTIAL = 4
    PASSED = 5


@dataclass(frozen=True)
class Case:
    """One test of a program that reads stdin and writes stdout."""

    stdin: str
    stdout: str

    def __post_init__(self) -> None:
        _check_strings(self, "stdin", "stdout")


@dataclass(frozen=True)
class Task:
    """One program and its tests: `tests`, or `check`, or `cases`.

    program      source text; may be any string
    tests        statements such as `assert f(1) == 2`; each is run and counted by itself, in order
    check        source that defines `check(candidate)`; it is one test, called with the entry point
    cases        runs of the whole program, each with its own stdin
    entry_point  name of the function or class under test; required with `check`. Optional with `tests`: names that the
                 tests use and do not define are then looked for in the program, except Python's own (an entry point
                 called `sum` has to be named here)
    setup        code that the judge runs before the tests, in their namespace (imports, helpers). Its names come before
                 the program's
    support      source that the program's own process runs first: stand-ins for modules that the sandbox does not have,
                 registered in sys.modules. The program can read and change them, so they must hold nothing that
                 decides. If it fails, error_type is "SupportError"
    tolerance    cases only: allowed difference of a number, absolute or relative to the expected one, unless both are
                 whole; 0 means that words must be equal
    want_lines   also report which lines of the program were executed (slows the program down)
    want_values  tests and check only: also report what the program returned in each test (Verdict.returned)
    cpu_seconds  this task's own Limits.test_cpu_seconds; the program's other time limits change by the same factor
                 (limits_of). 0 means the Sandbox's limits

    Raises ValueError when a field has the wrong type or the parts do not fit together.
    """

    program: str
    tests: tuple[str, ...] = ()
    entry_point: str = ""
    setup: str = ""
    check: str = ""
    support: str = ""
    cases: tuple[Case, ...] = ()
    tolerance: float = 0.0
    want_lines: bool = False
    want_values: bool = False
    cpu_seconds: float = 0.0

    def __post_init__(self) -> None:
        _check_strings(self, "program", "entry_point", "setup", "check", "support")
        if not isinstance(self.tests, tuple) or not all(isinstance(test, str) for test in self.tests):
            raise ValueError("Task.tests must be a tuple of strings")
        if not isinstance(self.cases, tuple) or not all(isinstance(case, Case) for case in self.cases):
            raise ValueError("Task.cases must be a tuple of Case")
        if bool(self.tests) + bool(self.check) + bool(self.cases) != 1:
            raise ValueError("Task needs one of tests, check and cases: without a test there is nothing to judge")
        if self.check and not self.entry_point:
            raise ValueError("Task.entry_point is empty: check(candidate) needs one")
        if self.entry_point and not self.entry_point.isidentifier():
            raise ValueError(f"Task.entry_point must be a name, not {self.entry_point!r}")
        if not _is_number(self.tolerance) or not 0 <= self.tolerance < math.inf:
            raise ValueError(f"Task.tolerance must be a number of at least 0, not {self.tolerance!r}")
        if self.tolerance and not self.cases:
            raise ValueError("Task.tolerance is for cases; tests compare by their own code")
        for field in ("want_lines", "want_values"):
            if not isinstance(getattr(self, field), bool):
                raise ValueError(f"Task.{field} must be true or false, not {getattr(self, field)!r}")
        if self.want_values and self.cases:
            raise ValueError("Task.want_values is for tests and check; what cases print is in Outcome.output")
        least, most = _TEST_SECONDS
        if not _is_number(self.cpu_seconds) or not (self.cpu_seconds == 0 or least <= self.cpu_seconds <= most):
            raise ValueError(f"Task.cpu_seconds must be 0, or from {least} to {most}, not {self.cpu_seconds!r}")

    @property
    def total(self) -> int:
        """T, the number of tests."""
        return len(self.cases) or len(self.tests) or 1


@dataclass(frozen=True)
class Limits:
    """Limits of one program. The module body counts as one more test.

    test_cpu_seconds      CPU time (user + system) of the program in one test; ends a loop
    test_wall_seconds     elapsed time of one test; ends a sleep. Wider, so that a busy machine changes nothing
    program_cpu_seconds   CPU time of all tests together, new starts after a crash included
    program_wall_seconds  elapsed time of the same
    judge_cpu_seconds     CPU time of the judge for one test (building and comparing values)
    memory_bytes          address space of the program; beyond it Python raises MemoryError
    output_bytes          stdout and stderr; beyond it a write raises OSError
    reply_bytes           one value that travels from the program to the judge, as JSON
    threads               threads of the program, the first one included
    open_files            file descriptors of the program
    """

    test_cpu_seconds: float = _within(1.0, *_TEST_SECONDS)
    test_wall_seconds: float = _within(2.0, *_TEST_SECONDS)
    program_cpu_seconds: float = _within(10.0, *_PROGRAM_SECONDS)
    program_wall_seconds: float = _within(20.0, *_PROGRAM_SECONDS)
    judge_cpu_seconds: float = _within(1.0, *_TEST_SECONDS)
    memory_bytes: int = _within(512 << 20, 32 << 20, 1 << 44)
    output_bytes: int = _within(1 << 20, 1, 1 << 34)
    reply_bytes: int = _within(256 << 10, 64, 16 << 20)
    threads: int = _within(16, 1, 4096)
    open_files: int = _within(64, 8, 65536)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, (least, most) = getattr(self, field.name), field.metadata["range"]
            right_kind = _is_number(value) if field.type is float else type(value) is int
            if not right_kind or not least <= value <= most:
                raise ValueError(
                    f"Limits.{field.name} must be {field.type.__name__} from {least} to {most}, not {value!r}"
                )


def limits_of(task: Task, limits: Limits) -> Limits:
    """The limits of one task. If it has its own cpu_seconds, the four limits of the program's time are multiplied by
    cpu_seconds / test_cpu_seconds; the others stay. Raises ValueError if one of the four then exceeds its range.
    """
    if not task.cpu_seconds:
        return limits
    factor = task.cpu_seconds / limits.test_cpu_seconds
    scaled = ("test_cpu_seconds", "test_wall_seconds", "program_cpu_seconds", "program_wall_seconds")
    return dataclasses.replace(limits, **{field: getattr(limits, field) * factor for field in scaled})


@dataclass(frozen=True)
class Verdict:
    """The result of one test.

    word        "passed"; "wrong" (an assertion of the test failed, or the printed lines differ); "error" (an
                exception); "timeout"; "crash" (the process ended in the middle); "not run" (the program ended earlier,
                or its time was used up); "void" (the program tampered with the judge)
    error_type  the exception's type name, for "error"; "AssertionError" for "wrong"; "Timeout"; "Crash"; else None
    value       for "wrong": a short repr of what the program last returned (cases: printed)
    line        1-based line of the program where the exception was raised (deepest frame of the program); else None
    column      0-based column of that place, in characters; None when unknown
    lines       lines of the program executed in this test, when asked for
    returned    what the program returned last in this test, when asked for: JSON text for sandbox.read_value; None if
                it returned from no call
    """

    word: str
    error_type: str | None = None
    value: str | None = None
    line: int | None = None
    column: int | None = None
    lines: tuple[int, ...] | None = None
    returned: str | None = None


CLOCKED = ("cpu_seconds", "seconds", "peak_bytes")


@dataclass(frozen=True)
class Outcome:
    """What one program did. Two runs of the same task are equal, except the fields in CLOCKED.

    stage          see Stage
    passed, total  k and T: tests passed, tests in all
    error_type     None when all passed; else of the first failure: an exception's type name ("NameError",
                   "SyntaxError"; "SystemExit" for sys.exit), "AssertionError" for a wrong value, "Timeout", "Crash",
                   "EntryPointMissing" (absent or not callable), "OutputTruncated" (cases: the limit of output was
                   reached), "ReplyTooLarge" and "NotPlainData" (a value that cannot travel), "Tampering",
                   "SupportError", "JudgeTimeout", "SlotLost" (judge or zygote died each time that this program was
                   tried). An exception whose class name is no identifier is "Exception"
    line, column   where in the program that failure was raised; None when unknown
    tests          a Verdict for each test
    timeout        which limit ended a test first: "cpu", "wall" or "judge"; else None
    out_of_memory  a MemoryError was raised and not caught
    signal         name of the signal that ended the program ("SIGSEGV"), unless a limit ended it
    exit_code      status with which the program ended by itself in the middle (calls) or ended (cases)
    tamper         None, or what was wrong in a message to the judge. No honest program does this by accident, so
                   nothing passes, and stage is at most RUNS
    output         the first 2,000 bytes of stdout and stderr, decoded (cases: of the first case that failed)
    lines          executed lines of all tests and of the body, when asked for
    cpu_seconds    CPU time of the program's processes
    seconds        elapsed time
    peak_bytes     largest resident memory of the program's processes
    """

    stage: Stage
    passed: int
    total: int
    error_type: str | None
    line: int | None
    column: int | None
    tests: tuple[Verdict, ...]
    timeout: str | None = None
    out_of_memory: bool = False
    signal: str | None = None
    exit_code: int | None = None
    tamper: str | None = None
    output: str = ""
    lines: tuple[int, ...] | None = None
    cpu_seconds: float = 0.0
    seconds: float = 0.0
    peak_bytes: int = 0

    def to_dict(self) -> dict:
        """Plain data for JSON, the stage by name."""
        return vars(self) | {"stage": self.stage.name, "tests": [vars(test) for test in self.tests]}

    def without_clock(self) -> "Outcome":
        """The same with the fields in CLOCKED at zero: two runs of one task are then equal."""
        return dataclasses.replace(self, **dict.fromkeys(CLOCKED, 0))


def lost(task: Task, error_type: str, timeout: str | None = None) -> Outcome:
    """The outcome of a task whose judge died: nothing is known about it."""
    tests = (Verdict("not run"),) * task.total
    return Outcome(Stage.SYNTAX_ERROR, 0, task.total, error_type, None, None, tests, timeout)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_strings(record: object, *fields: str) -> None:
    for field in fields:
        value = getattr(record, field)
        if not isinstance(value, str):
            raise ValueError(f"{type(record).__name__}.{field} must be a string, not {type(value).__name__}")
