"""What goes into the executor and what comes out: Job, Limits, Stage, Outcome; and how one is judged.

A report is the plain dict that a slot answers with (see `zygote.execute`). `judge` is the only place that
turns it into a verdict, so another kind of slot (a judge in its own process) only has to answer with the same
dict.
"""

import dataclasses
import enum
import json
from dataclasses import dataclass


class Stage(enum.IntEnum):
    """How far a program came. A stage is given only for what was positively reported.

    SYNTAX_ERROR  it does not compile (or nothing at all was reported)
    PARSES        it compiles, but its module body raises, exits, crashes or runs out of time
    RUNS          the body ran; the entry point is missing, or no test call returned anything but None
    OUTPUT        the entry point returned a value on at least one test; no test passed
    PARTIAL       0 < k < T tests passed
    PASSED        all T tests passed
    """

    SYNTAX_ERROR = 0
    PARSES = 1
    RUNS = 2
    OUTPUT = 3
    PARTIAL = 4
    PASSED = 5


@dataclass(frozen=True)
class Job:
    """One program and what to ask of it.

    program      source text; anything at all
    tests        statements such as `assert f(1) == 2`, each run and counted by itself, in order
    entry_point  name of the function or class that the tests call
    setup        code run before the tests, in their namespace (imports, helpers)

    Raises ValueError when a field has the wrong type or when there is no test (all of none would be PASSED).
    """

    program: str
    tests: tuple[str, ...]
    entry_point: str
    setup: str = ""

    def __post_init__(self) -> None:
        for field in ("program", "entry_point", "setup"):
            if not isinstance(getattr(self, field), str):
                raise ValueError(f"Job.{field} must be a string, not {type(getattr(self, field)).__name__}")
        if not isinstance(self.tests, tuple) or not all(isinstance(test, str) for test in self.tests):
            raise ValueError("Job.tests must be a tuple of strings")
        if not self.tests:
            raise ValueError("Job.tests is empty: a program without tests cannot be judged")


@dataclass(frozen=True)
class Limits:
    """Limits of one job. Times count all forks of a job together: it never costs more than `wall_seconds`.

    cpu_seconds   CPU time (user + system); an infinite loop costs this much
    wall_seconds  elapsed time; a sleeping program costs this much
    memory_bytes  address space of each process; beyond it Python raises MemoryError
    output_bytes  stdout and stderr together, and the size of any file written; beyond it a write raises
                  OSError
    processes     processes and threads of the user that runs the program (see confine.py)
    open_files    file descriptors
    """

    cpu_seconds: float = 1.0
    wall_seconds: float = 2.0
    memory_bytes: int = 512 << 20
    output_bytes: int = 1 << 20
    processes: int = 16
    open_files: int = 64

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, field.type)) or value <= 0:
                raise ValueError(f"Limits.{field.name} must be a positive {field.type.__name__}, not {value!r}")


@dataclass(frozen=True)
class Outcome:
    """What one program did.

    stage       see Stage
    passed      k, the number of tests passed
    total       T, the number of tests
    error_type  None when all passed; else the type name of the first failure: an exception's ("NameError",
                "SyntaxError"; "SystemExit" for sys.exit), "AssertionError" for a wrong value, "Timeout",
                "Crash" (the process ended without a report), "EntryPointMissing" (absent or not callable). An
                exception whose class bears an odd name (not an identifier, or one of the words below) is
                "Exception"
    line        1-based line of the program where that failure was raised (deepest frame of the program, or
                the line of a syntax error); None when no line is to blame (a wrong value, a timeout) or known
    tests       one word a test: "passed", "wrong" (the assertion failed), an exception's type name,
                "timeout", "crash", or "not run" (nothing left of the time, or the program did not come that
                far)
    timed_out   the CPU or wall limit ended the job
    seconds     elapsed time; the only field that differs between two runs of the same job
    output      the first 2,000 bytes of stdout and stderr, decoded
    """

    stage: Stage
    passed: int
    total: int
    error_type: str | None
    line: int | None
    tests: tuple[str, ...]
    timed_out: bool
    seconds: float
    output: str

    def to_json(self) -> str:
        """One line of JSON; the stage is written by name."""
        return json.dumps(dataclasses.asdict(self) | {"stage": self.stage.name})


# What is left of a job whose slot died under it: nothing was reported.
DIED = {
    "parsed": False,
    "ran": False,
    "value": False,
    "error": ["Crash", None],
    "tests": [],
    "timed_out": False,
    "seconds": 0.0,
    "output": "",
}


def judge(job: Job, report: dict) -> Outcome:
    """Turn a slot's report into an Outcome. `report["tests"]` has a [word, line] for each test run."""
    results = report["tests"]
    words = [word for word, _ in results] + ["not run"] * (len(job.tests) - len(results))
    passed = words.count("passed")
    if not report["parsed"]:
        stage = Stage.SYNTAX_ERROR
    elif not report["ran"]:
        stage = Stage.PARSES
    elif passed == len(words):
        stage = Stage.PASSED
    elif passed:
        stage = Stage.PARTIAL
    else:
        stage = Stage.OUTPUT if report["value"] else Stage.RUNS
    error_type, line = report["error"] or _first_failure(results)
    return Outcome(
        stage=stage,
        passed=passed,
        total=len(words),
        error_type=error_type,
        line=line,
        tests=tuple(words),
        timed_out=report["timed_out"],
        seconds=report["seconds"],
        output=report["output"],
    )


def _first_failure(results: list) -> tuple[str | None, int | None]:
    names = {"wrong": "AssertionError", "timeout": "Timeout", "crash": "Crash"}
    for word, line in results:
        if word != "passed":
            return names.get(word, word), line
    return None, None
