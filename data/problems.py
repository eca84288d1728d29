"""The problem schema, and the reader of JSON-lines files like MBPP's. data/sets/registry.py has the named sets.

A record has `task_id` (an integer or a string, unique in the file), `text` (the request), `code` (a reference
solution) and `test_list` (assert statements; the prompt shows the first). Optional fields are `test_setup_code`,
`family`, `tier`, `split`, `support` and `unsafe`, explained at Problem. Other fields are ignored.
"""

import ast
import json
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

SPLITS = ("train", "valid", "test")
OPTIONAL = ("test_setup_code", "family", "tier", "split", "support", "unsafe")
MOST_DIGITS = 4000  # Python converts integers of up to 4,300 decimal digits


@dataclass(frozen=True)
class Problem:
    """One task. Its tests are of one of three kinds: `test_list` or `check` for a function, `cases` for a program."""

    task_id: int | str  # its name in its set
    text: str  # the request
    code: str  # a reference solution, a whole program; "" if there is none
    test_list: tuple[str, ...] = ()  # assert statements; each is run and counted separately
    entry_point: str = ""  # the function that the tests call; "" for whole programs
    test_setup_code: str = ""
    family: str = ""
    tier: str = ""  # the set's own name for the difficulty
    split: str = ""  # train | valid | test, optionally followed by "/unseen"; "" if the set has no splits
    support: str = ""  # stand-ins for modules that the sandbox lacks (sandbox.Task.support)
    unsafe: str = ""  # a solution that also passes the tests, but has a security finding
    check: str = ""  # source that defines `check(candidate)`, a single test (HumanEval)
    cases: tuple[tuple[str, str], ...] = ()  # pairs of stdin and stdout
    stub: str = ""  # code that a completion may continue: imports, helpers, signature and docstring (HumanEval)
    base_tests: int = 0  # how many tests at the start of test_list are the benchmark's, not EvalPlus's; 0: all
    shown: tuple[str, ...] = ()  # asserts for the prompt, if those of test_list are not readable
    cpu_seconds: float = 0.0  # CPU time limit of each test; 0.0: the sandbox's own limit
    tolerance: float = 0.0  # absolute, of printed numbers (cases)

    @property
    def examples(self) -> tuple[str, ...]:
        """Asserts that a prompt may show: the benchmark's own, not EvalPlus's."""
        return self.shown or self.test_list[: self.base_tests or None]

    @property
    def tests(self) -> tuple[str, ...]:
        """Each test in readable form: an assert, the call of `check`, or the stdin of a case."""
        if self.check:
            return (f"check({self.entry_point})",)
        return self.test_list or tuple(f"stdin {stdin!r}" for stdin, _ in self.cases)

    @property
    def unseen(self) -> bool:
        """Whether RL trains on no problem of this family."""
        return self.split.endswith("/unseen")


def read_problems(path: Path) -> list[Problem]:
    """The problems of a JSON-lines file, in file order. ValueError names file, line and field."""
    return check_unique(((where, parse_problem(record, where)) for where, record in read_lines(path)), path)


def parse_problem(record: dict, where: str) -> Problem:
    """The problem of one record; `where` ("file:line") begins every error message."""
    task_id = get(record, "task_id", (int, str), where)
    text, code = get(record, "text", str, where), get(record, "code", str, where)
    optional = {field: get(record, field, str, where) for field in OPTIONAL if field in record}
    tests = get_strings(record, "test_list", where)
    split = optional.get("split", "")
    if split and split.removesuffix("/unseen") not in SPLITS:  # no command would ever use the problem
        raise ValueError(f"{where}: split: unknown {split!r}; there are {', '.join(SPLITS)}")
    entry_point = find_entry_point(code, tests, where)
    check_asserts(tests, optional.get("test_setup_code", ""), where)
    return Problem(task_id, text, code, tests, entry_point, **optional)


# Helpers for the readers of all sets --------------------------------------------------------------------------


def read_lines(path: Path, what: str = "problem") -> Iterator[tuple[str, dict]]:
    """("file:line", object) for each line of a JSON-lines file that is not blank. `what` names a line in errors."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                where = f"{path}:{number}"
                yield where, _check_object(parse_json(line, where), where, what)


def read_list(path: Path) -> Iterator[tuple[str, dict]]:
    """("file: record N", object) for each object of a file that is one JSON list; N counts from 0."""
    records = parse_json(path.read_bytes(), str(path))
    if not isinstance(records, list):
        raise ValueError(f"{path}: needs one JSON list of problems, got {type(records).__name__}")
    for number, record in enumerate(records):
        where = f"{path}: record {number}"
        yield where, _check_object(record, where, "problem")


def parse_json(text: bytes | str, where: str) -> object:
    """The value of a JSON text, with integers of any length."""
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
    """int() of any number of digits (APPS has integers of 9,000)."""
    return int(digits) if len(digits) < MOST_DIGITS else int(Decimal(digits))


def _check_object(record: object, where: str, what: str) -> dict:
    if not isinstance(record, dict):
        raise ValueError(f"{where}: a {what} is a JSON object, not {type(record).__name__}")
    return record


def get(record: dict, field: str, kinds: type | tuple[type, ...], where: str) -> Any:
    """A required field of exactly one of these types (true is not an integer)."""
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
    """A required list of at least one string."""
    values = get(record, field, list, where)
    if not values or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{where}: {field}: needs a list of strings, at least one")
    return tuple(values)


def check_unique(tasks: Iterable[tuple[str, Any]], path: Path) -> list:
    """The tasks of ("file:line", task) pairs. ValueError if two have the same task_id, or if there is none."""
    places: dict[int | str, str] = {}
    checked = []
    for where, task in tasks:
        if task.task_id in places:
            raise ValueError(f"{where}: task_id: {task.task_id} is already used at {places[task.task_id]}")
        places[task.task_id] = where
        checked.append(task)
    if not checked:
        raise ValueError(f"{path}: holds no problem")
    return checked


def find_entry_point(code: str, tests: Sequence[str], where: str) -> str:
    """The last top-level function or class of the reference that the tests name.

    The last, because helpers stand before the function that uses them. On MBPP's 974 problems, this is also the first
    name in the tests that the reference defines (tests/data/sets/test_mbpp.py).
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
    """ValueError if a test has no assert, and the setup code has none either: every program would pass it."""
    if _has_assert(setup, f"{where}: test_setup_code"):
        return
    for number, test in enumerate(tests):
        if not _has_assert(test, f"{where}: test_list[{number}]"):
            raise ValueError(f"{where}: test_list[{number}]: holds no assert, so every program passes it")


def _has_assert(source: str, where: str) -> bool:
    return any(isinstance(node, (ast.Assert, ast.Raise)) for node in ast.walk(parse_python(source, where)))


def parse_python(source: str, where: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes such as "\\d" in published solutions
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:  # ValueError: a NUL character
        raise ValueError(f"{where}: not Python: {error}") from error


def find_function(tree: ast.Module, name: str) -> ast.FunctionDef | None:
    """The last top-level function of that name."""
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    return found[-1] if found else None


def literal(value: object) -> str:
    """Python source of a value. Its evaluation gives an equal value, with the same types at every depth.

    Unlike repr(), this holds for nan, infinities, negative zeros in complex numbers, empty sets and integers of any
    length, and items of a set come in the same order in every process. TypeError if the value is not plain data.
    """
    kind = type(value)
    if kind in (type(None), bool, str, bytes):
        return repr(value)
    if kind is int:
        return repr(value) if value.bit_length() < 3 * MOST_DIGITS else hex(value)
    if kind is float:
        return repr(value) if math.isfinite(value) else f"float({str(value)!r})"
    if kind is complex:
        return f"complex({literal(value.real)}, {literal(value.imag)})"
    if kind is list:
        return f"[{', '.join(map(literal, value))}]"
    if kind is tuple:
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if kind is set:
        return f"{{{', '.join(sorted(map(literal, value)))}}}" if value else "set()"
    if kind is frozenset:
        return f"frozenset({literal(set(value))})"
    if kind is dict:
        return f"{{{', '.join(f'{literal(key)}: {literal(item)}' for key, item in value.items())}}}"
    raise TypeError(f"no literal for a {kind.__name__}")
