"""Input and output: Task, Limits, Stage, Verdict, Outcome.

Covered: a task without tests and a limit outside its range are errors here, by name, before any process starts.
Not covered: the quality of the tests. A weak test passes a weak program.
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
    """How far a program came. k of its T tests passed.

    The judge compares the values of PARTIAL and PASSED itself. PARSES is decided before the program's first
    instruction. The program's own process reports RUNS and OUTPUT: a program can fake them, but `pass` and `return 0`
    earn the same.
    """

    SYNTAX_ERROR = 0  # does not compile
    PARSES = 1  # compiles, but its module body raises, exits, crashes or runs out of time
    RUNS = 2  # its body ran; no entry point, or all calls returned None (cases: exit status 0, but printed nothing)
    OUTPUT = 3  # a call returned a value (cases: it printed something); k = 0
    PARTIAL = 4  # 0 < k < T
    PASSED = 5  # k = T


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

    entry_point  name of the function or class under test. Required with `check`. Optional with `tests`: names that the
                 tests use and do not define come from the program, except Python's own (such as `sum`)
    support      source that the program's process runs first: stand-ins for missing modules, put into sys.modules. The
                 program can read and change them. If it fails, error_type is "SupportError"
    tolerance    cases only: allowed difference of a number, absolute or relative to the expected one, unless both are
                 whole; 0: words must be equal

    Raises ValueError when a field has the wrong type or the parts do not fit together.
    """

    program: str  # source text; any string
    tests: tuple[str, ...] = ()  # statements such as `assert f(1) == 2`; each runs and counts by itself, in order
    entry_point: str = ""
    setup: str = ""  # code that the judge runs before the tests, in their namespace; its names hide the program's
    check: str = ""  # source that defines `check(candidate)`: one test, called with the entry point
    support: str = ""
    cases: tuple[Case, ...] = ()  # runs of the whole program, each with its own stdin
    tolerance: float = 0.0
    want_lines: bool = False  # report which lines of the program were executed (slower)
    want_values: bool = False  # tests and check only: report what the program returned in each (Verdict.returned)
    cpu_seconds: float = 0.0  # this task's own Limits.test_cpu_seconds (see limits_of); 0: the Sandbox's

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
    """Limits of one program. The module body counts as one more test."""

    test_cpu_seconds: float = _within(1.0, *_TEST_SECONDS)  # user + system; ends a loop
    test_wall_seconds: float = _within(2.0, *_TEST_SECONDS)  # ends a sleep; wider, because a machine may be busy
    program_cpu_seconds: float = _within(10.0, *_PROGRAM_SECONDS)  # of all tests, including new starts after a crash
    program_wall_seconds: float = _within(20.0, *_PROGRAM_SECONDS)  # of the same
    judge_cpu_seconds: float = _within(1.0, *_TEST_SECONDS)  # of the judge for one test: build and compare values
    memory_bytes: int = _within(512 << 20, 32 << 20, 1 << 44)  # address space; beyond it Python raises MemoryError
    output_bytes: int = _within(1 << 20, 1, 1 << 34)  # stdout and stderr; beyond it a write raises OSError
    reply_bytes: int = _within(256 << 10, 64, 16 << 20)  # one value from the program to the judge, as JSON
    threads: int = _within(16, 1, 4096)  # including the first
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
    """A task's own cpu_seconds scale the four limits of the program's time by cpu_seconds / test_cpu_seconds.

    Raises ValueError if one of the four then exceeds its range.
    """
    if not task.cpu_seconds:
        return limits
    factor = task.cpu_seconds / limits.test_cpu_seconds
    scaled = ("test_cpu_seconds", "test_wall_seconds", "program_cpu_seconds", "program_wall_seconds")
    return dataclasses.replace(limits, **{field: getattr(limits, field) * factor for field in scaled})


@dataclass(frozen=True)
class Verdict:
    """The result of one test.

    word        "passed"; "wrong" (an assertion failed, or the printed lines differ); "error" (an exception); "timeout";
                "crash" (the process ended in the middle); "not run" (the program ended before, or used up its time);
                "void" (tampering)
    error_type  type name of the exception; "AssertionError" for "wrong"; "Timeout"; "Crash"; else None
    returned    what the program returned last, with want_values: JSON text for sandbox.read_value; None without a call
    """

    word: str
    error_type: str | None = None
    value: str | None = None  # for "wrong": a short repr of what the program last returned (cases: printed)
    line: int | None = None  # from 1: the program's deepest frame at the exception; None when unknown
    column: int | None = None  # from 0, in characters; None when unknown
    lines: tuple[int, ...] | None = None  # executed lines of the program, with want_lines
    returned: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What one program did.

    error_type     None when all passed; else of the first failure: an exception's type name ("SystemExit" for sys.exit;
                   "Exception" if the name is no identifier), "AssertionError" for a wrong value, "Timeout", "Crash",
                   "EntryPointMissing" (or not callable), "OutputTruncated" (cases: at the limit of output),
                   "ReplyTooLarge" and "NotPlainData" (a value that cannot travel), "Tampering", "SupportError",
                   "JudgeTimeout", "SlotLost" (judge or zygote died at each try)
    tamper         None, or what was wrong in a message to the judge. No honest program does this by accident: nothing
                   passes, and stage is at most RUNS
    """

    stage: Stage
    passed: int  # k
    total: int  # T
    error_type: str | None
    line: int | None  # place of the first failure in the program, as in Verdict
    column: int | None
    tests: tuple[Verdict, ...]
    timeout: str | None = None  # the limit that ended a test first: "cpu", "wall" or "judge"
    out_of_memory: bool = False  # a MemoryError was raised and not caught
    signal: str | None = None  # name of the signal that ended the program ("SIGSEGV"), unless a limit ended it
    exit_code: int | None = None  # status with which the program ended itself in the middle (calls) or ended (cases)
    tamper: str | None = None
    output: str = ""  # the first 2,000 bytes of stdout and stderr, decoded (cases: of the first case that failed)
    lines: tuple[int, ...] | None = None  # executed lines of the body and all tests, with want_lines
    cpu_seconds: float = 0.0  # of the program's processes
    seconds: float = 0.0  # elapsed
    peak_bytes: int = 0  # largest resident memory of the program's processes

    def to_dict(self) -> dict:
        """Plain data for JSON, the stage by name."""
        return vars(self) | {"stage": self.stage.name, "tests": [vars(test) for test in self.tests]}

    def without_clock(self) -> "Outcome":
        """The same without times and memory: equal for two runs of one task."""
        return dataclasses.replace(self, cpu_seconds=0, seconds=0, peak_bytes=0)


def lost(task: Task, error_type: str, timeout: str | None = None) -> Outcome:
    """The outcome of a task whose judge died."""
    tests = (Verdict("not run"),) * task.total
    return Outcome(Stage.SYNTAX_ERROR, 0, task.total, error_type, None, None, tests, timeout)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_strings(record: object, *fields: str) -> None:
    for field in fields:
        value = getattr(record, field)
        if not isinstance(value, str):
            raise ValueError(f"{type(record).__name__}.{field} must be a string, not {type(value).__name__}")
