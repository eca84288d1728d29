"""The problem schema, and files in the shape of MBPP: one JSON object a line. Named sets are in data/sets/registry.py.

A record holds `task_id` (an integer or a string, each its own), `text` (the request), `code` (a reference solution),
`test_list` (assert statements; the prompt shows the first one) and, optionally, `test_setup_code`, `family`, `tier`,
`split`, `support` (stand-ins for modules that the sandbox does not have) and `unsafe` (a solution that passes the
tests, too, and that a security linter objects to). Fields of other names are not looked at.
"""

import ast
import json
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

SPLITS = ("train", "valid", "test")
OPTIONAL = ("test_setup_code", "family", "tier", "split", "support", "unsafe")


@dataclass(frozen=True)
class Problem:
    """One task, in one of three ways: functions with asserts, a function with one `check`, whole programs with cases.

    task_id      its name in its set
    text         the request
    code         a reference solution, a whole program; "" where there is none
    test_list    assert statements, each run and counted by itself
    entry_point  the function that the tests call; "" where whole programs are run
    split        train | valid | test, perhaps followed by "/unseen"; "" where the set has none
    tier         how hard its set says that it is
    support      stand-ins for modules that the sandbox does not have (sandbox.Task.support)
    unsafe       a solution that passes the tests, too, and that a security linter objects to
    check        source that defines `check(candidate)`: one test (HumanEval)
    cases        pairs of stdin and stdout of the whole program
    stub         code that a completion may go on from: imports, helpers, signature and docstring (HumanEval)
    base_tests   how many of test_list are the benchmark's own; the rest are EvalPlus's. 0: all of them
    shown        asserts that prompts show, where those of test_list are not what a person would write
    cpu_seconds  CPU time limit of each test; 0.0 is the judge's own
    tolerance    of numbers that are printed (cases)
    """

    task_id: int | str
    text: str
    code: str
    test_list: tuple[str, ...] = ()
    entry_point: str = ""
    test_setup_code: str = ""
    family: str = ""
    tier: str = ""
    split: str = ""
    support: str = ""
    unsafe: str = ""
    check: str = ""
    cases: tuple[tuple[str, str], ...] = ()
    stub: str = ""
    base_tests: int = 0
    shown: tuple[str, ...] = ()
    cpu_seconds: float = 0.0
    tolerance: float = 0.0

    @property
    def examples(self) -> tuple[str, ...]:
        """Asserts that a prompt may show: a benchmark's own, none of EvalPlus's."""
        return self.shown or self.test_list[: self.base_tests or None]

    @property
    def tests(self) -> tuple[str, ...]:
        """Each test as a person may read it: an assert, the check's call, or what a case gives to the program."""
        if self.check:
            return (f"check({self.entry_point})",)
        return self.test_list or tuple(f"stdin {stdin!r}" for stdin, _ in self.cases)

    @property
    def unseen(self) -> bool:
        """Whether RL trains on no problem of this one's family."""
        return self.split.endswith("/unseen")


def read_problems(path: Path) -> list[Problem]:
    """Every record of a JSON-lines file in the shape above, in its order, validated."""
    return check_unique(((where, parse_problem(record, where)) for where, record in read_lines(path)), path)


def parse_problem(record: dict, where: str) -> Problem:
    """One record; `where` ("file:line") starts every error."""
    task_id = get(record, "task_id", (int, str), where)
    text, code = get(record, "text", str, where), get(record, "code", str, where)
    optional = {field: get(record, field, str, where) for field in OPTIONAL if field in record}
    tests = get_strings(record, "test_list", where)
    split = optional.get("split", "")
    if split and split.removesuffix("/unseen") not in SPLITS:  # it would be a problem that is never asked
        raise ValueError(f"{where}: split: unknown {split!r}; there are {', '.join(SPLITS)}")
    entry_point = find_entry_point(code, tests, where)
    check_asserts(tests, optional.get("test_setup_code", ""), where)
    return Problem(task_id, text, code, tests, entry_point, **optional)


# Parts of the readers of all sets -----------------------------------------------------------------------------


def read_lines(path: Path, what: str = "problem") -> Iterator[tuple[str, dict]]:
    """("file:line", object) of each line of a JSON-lines file that is not blank; `what` a line is, for the errors."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                where = f"{path}:{number}"
                yield where, check_object(parse_json(line, where), where, what)


def read_list(path: Path) -> Iterator[tuple[str, dict]]:
    """("file: record number", object) of each of the objects of a file that is one JSON list; numbers are from 0."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    records = parse_json(path.read_bytes(), str(path))
    if not isinstance(records, list):
        raise ValueError(f"{path}: needs one JSON list of problems, got {type(records).__name__}")
    for number, record in enumerate(records):
        where = f"{path}: record {number}"
        yield where, check_object(record, where)


def parse_json(text: bytes | str, where: str) -> object:
    """What a JSON text says, integers of any length included."""
    try:
        return json.loads(text.decode("utf-8") if isinstance(text, bytes) else text, parse_int=_parse_integer)
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: not UTF-8 text (byte {error.start})") from error
    except json.JSONDecodeError as error:
        place = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{where}: not JSON: {error.msg} ({place})") from error
    except RecursionError as error:
        raise ValueError(f"{where}: JSON nested too deep") from error


def _parse_integer(digits: str) -> int:
    """int(), also for more digits than Python converts in one go (APPS has integers of 9,000)."""
    return int(digits) if len(digits) < 4000 else int(Decimal(digits))


def check_object(record: object, where: str, what: str = "problem") -> dict:
    if not isinstance(record, dict):
        raise ValueError(f"{where}: a {what} is a JSON object, not {type(record).__name__}")
    return record


def get(record: dict, field: str, kinds: type | tuple[type, ...], where: str) -> Any:
    """A field that has to be there and of exactly one of these types (true is no integer)."""
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    if field not in record:
        raise ValueError(f"{where}: {field}: missing")
    if type(record[field]) not in kinds:
        needed = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"{where}: {field}: needs {needed}, got {type(record[field]).__name__}")
    if field == "task_id" and record[field] == "":
        raise ValueError(f"{where}: task_id: is empty")
    return record[field]


def get_strings(record: dict, field: str, where: str) -> tuple[str, ...]:
    """A list of strings, at least one."""
    values = get(record, field, list, where)
    if not values or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{where}: {field}: needs at least one string, and nothing else")
    return tuple(values)


def check_unique(problems: Iterable[tuple[str, Problem]], path: Path) -> list[Problem]:
    """The problems, each given with its place. ValueError where two have one task_id, or where there is none at all."""
    places: dict[int | str, str] = {}
    checked = []
    for where, problem in problems:
        if problem.task_id in places:
            raise ValueError(f"{where}: task_id: {problem.task_id} stands at {places[problem.task_id]} already")
        places[problem.task_id] = where
        checked.append(problem)
    if not checked:
        raise ValueError(f"{path}: holds no problem")
    return checked


def find_entry_point(code: str, tests: Sequence[str], where: str) -> str:
    """The last top-level function or class of the reference that the tests name.

    The last, as helpers stand before what uses them. On MBPP's 974 problems this is also the first name in the tests
    that the reference defines (tests/data/sets/test_mbpp.py).
    """
    tree = parse_python(code, f"{where}: code")
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    defined = [node.name for node in tree.body if isinstance(node, definitions)]
    used = set()
    for number, test in enumerate(tests):
        test_tree = parse_python(test, f"{where}: test_list[{number}]")
        used |= {node.id for node in ast.walk(test_tree) if isinstance(node, ast.Name)}
    for name in reversed(defined):
        if name in used:
            return name
    raise ValueError(f"{where}: test_list: no test calls a function that code defines ({', '.join(defined) or 'none'})")


def check_asserts(tests: Sequence[str], setup: str, where: str) -> None:
    """ValueError for a test that asserts nothing, itself or through what is set up: every program would pass it."""
    helps = _asserts(setup, f"{where}: test_setup_code")
    for number, test in enumerate(tests):
        if not helps and not _asserts(test, f"{where}: test_list[{number}]"):
            raise ValueError(f"{where}: test_list[{number}]: holds no assert, so every program passes it")


def _asserts(source: str, where: str) -> bool:
    return any(isinstance(node, (ast.Assert, ast.Raise)) for node in ast.walk(parse_python(source, where)))


def parse_python(source: str, where: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\\d" in somebody's solution is not our affair
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:  # ValueError: a NUL in the text
        raise ValueError(f"{where}: not Python: {error}") from error
