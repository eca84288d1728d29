"""APPS and APPS+: problems of programming contests. Whole programs and functions are kept apart.

             APPS                                            APPS+
Source       Hendrycks et al. 2021 (arXiv 2105.09938);       Dou et al. 2024, "StepCoder" (arXiv 2402.01391);
             codeparrot/apps on the Hugging Face hub         Ablustrund/APPS_Plus, data/v1/data.json
Licence      MIT                                             MIT
Records      5,000 to train on, 5,000 to test with           7,413, of which 2,634 (36 %) ask for a function
Layout       JSON lines: id (on the hub's own pages          one JSON list: a request (see PLUS_REQUESTS), inputs,
             problem_id), question, solutions and            outputs, starter_code, canonical_solution,
             input_output (JSON texts), difficulty,          difficulty
             url, starter_code
Splits       test: the test file. valid: the records of      none is published. Ours, by the position in the list:
             the train file whose id ends in 9;              ends in 9: test, ends in 8: valid, else train
             train: the others
Names        "train/0", "test/0"                             the position in the list, from 0

A program that reads stdin cannot satisfy tests that are lists of arguments, so a training set that mixes both has
problems that nobody can solve: `read_programs` gives the ones, `read_functions` the others. tier is the sets' own
difficulty: introductory, interview or competition.

Left out are records without a test (about 550 of APPS' train file), and programs that are to print nothing. Solutions
that are not Python 3 are passed over: the reference is the first one that is, or none. A reference gets the imports
that the sets' own checker runs before it.

Programs: what is printed is compared line by line; where an expected output has a decimal fraction,
numbers may be off by 1e-6.

Functions: the published checker takes a result r for right where r equals the stored output, or its first element, as
outputs often stand in a list of one; tuples count as lists. We do the same, but the first element counts only where it
is the only one: otherwise the first of several right values would do. Keys of a lone dictionary become integers again
where all of them are (JSON has only strings).
"""

import ast
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.problems import Problem, check_unique, get, parse_json, parse_python, read_lines, read_list

TIERS = ("introductory", "interview", "competition")
# What the request is called in APPS+ could not be seen for ourselves; readers of it look for these, in this order.
PLUS_REQUESTS = ("question", "prompt", "description")
TOLERANCE = 1e-6
PLAIN = '''def plain(value):
    """Tuples as lists."""
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
'''
IMPORTS = {name: f"import {name}" for name in ("sys", "time", "itertools", "collections", "math", "random", "heapq")}
IMPORTS |= {
    name: f"from {module} import {name}"
    for module, names in {
        "itertools": "accumulate product permutations combinations",
        "collections": "Counter OrderedDict deque defaultdict ChainMap",
        "functools": "lru_cache reduce",
        "math": "sqrt sin cos tan ceil fabs floor gcd exp log log2 inf",
        "heapq": "heappush heappop heapify",
        "typing": "List Tuple Dict Set Optional",
    }.items()
    for name in names.split()
}


def read_programs(path: Path) -> list[Problem]:
    """The problems of APPS' train or test file (its name says which) that read stdin and print."""
    return _pick(_read_apps(path), path, programs=True)


def read_functions(path: Path) -> list[Problem]:
    """The problems of APPS' train or test file that ask for a function, or a method of a class Solution."""
    return _pick(_read_apps(path), path, programs=False)


def read_plus_programs(path: Path) -> list[Problem]:
    """The problems of APPS+ that read stdin and print."""
    return _pick(_read_plus(path), path, programs=True)


def read_plus_functions(path: Path) -> list[Problem]:
    """The problems of APPS+ that ask for a function."""
    return _pick(_read_plus(path), path, programs=False)


def _pick(problems: Iterator[tuple[str, Problem]], path: Path, programs: bool) -> list[Problem]:
    chosen = ((where, problem) for where, problem in problems if bool(problem.cases) == programs)
    return check_unique((pair for pair in chosen if not programs or _asks_for_output(pair[1])), path)


def _asks_for_output(program: Problem) -> bool:
    """Whether some test asks for a word at least; else a program that does nothing would pass."""
    return any(stdout.strip() for _, stdout in program.cases)


# Records ------------------------------------------------------------------------------------------------------


def _read_apps(path: Path) -> Iterator[tuple[str, Problem]]:
    file = "test" if "test" in path.name else "train"
    for where, record in read_lines(path):
        number = get(record, "problem_id" if "problem_id" in record else "id", int, where)
        text, starter = get(record, "question", str, where), get(record, "starter_code", str, where)
        tests = _json_text(record, "input_output", dict, where)
        solutions = _json_text(record, "solutions", list, where)
        if not all(isinstance(solution, str) for solution in solutions):
            raise ValueError(f"{where}: solutions: needs strings, and nothing else")
        if not tests.get("inputs"):
            continue
        function = tests.get("fn_name") or ""
        yield (
            where,
            _problem(
                task_id=f"{file}/{number}",
                text=text,
                starter=starter,
                solutions=solutions,
                tests=_pairs(tests, where),
                function=function,
                tier=_tier(record, where),
                split="test" if file == "test" else "valid" if number % 10 == 9 else "train",
                where=where,
            ),
        )


def _read_plus(path: Path) -> Iterator[tuple[str, Problem]]:
    for position, (where, record) in enumerate(read_list(path)):
        tests = _pairs(record, where)
        if not tests:
            continue
        starter, solution = get(record, "starter_code", str, where), get(record, "canonical_solution", str, where)
        name = _defined_name(starter)
        if all(isinstance(given, str) for given, _ in tests):  # a program
            if name:  # in the form of a function without parameters, which nothing calls yet
                solution = f"{solution.rstrip()}\n\n\n{name}()\n"
            starter = name = ""
        elif not name:
            raise ValueError(f"{where}: starter_code: begins no function")
        yield (
            where,
            _problem(
                task_id=position,
                text=_request(record, where),
                starter=starter,
                solutions=[solution],
                tests=tests,
                function=name,
                tier=_tier(record, where),
                split={9: "test", 8: "valid"}.get(position % 10, "train"),
                where=where,
            ),
        )


def _problem(
    task_id: int | str,
    text: str,
    starter: str,
    solutions: list,
    tests: list[tuple[object, object]],
    function: str,
    tier: str,
    split: str,
    where: str,
) -> Problem:
    """One record of either set: with cases where no function is asked for, else with asserts."""
    text, code = text.strip(), _reference(solutions)
    if not function:
        cases = tuple((_lines(given, where), _lines(wanted, where)) for given, wanted in tests)
        tolerance = TOLERANCE if any(re.search(r"\d\.\d", wanted) for _, wanted in cases) else 0.0
        return Problem(task_id, text, code, cases=cases, tier=tier, split=split, tolerance=tolerance)
    method = re.search(r"^class Solution\b", starter, re.MULTILINE) is not None
    call = f"Solution().{function}" if method else function
    asserts = tuple(_assert(call, given, wanted, where) for given, wanted in tests)
    for number, test in enumerate(asserts):
        parse_python(test, f"{where}: test {number}")
    return Problem(
        task_id,
        f"{text}\n\nIt has to begin like this:\n{starter.rstrip()}" if starter.strip() else text,
        code,
        test_list=asserts,
        entry_point="Solution" if method else function,
        test_setup_code=PLAIN,
        tier=tier,
        split=split,
    )


# Fields -------------------------------------------------------------------------------------------------------


def _json_text(record: dict, field: str, kind: type, where: str) -> Any:
    """What a field of JSON text says; an empty list or dict where the text is empty, as it is in some records."""
    text = get(record, field, str, where)
    if not text.strip():
        return kind()
    value = parse_json(text, f"{where}: {field}")
    if not isinstance(value, kind):
        raise ValueError(f"{where}: {field}: needs JSON of a {kind.__name__}, got {type(value).__name__}")
    return value


def _pairs(tests: dict, where: str) -> list[tuple[object, object]]:
    """Input and output of each test."""
    inputs, outputs = get(tests, "inputs", list, where), get(tests, "outputs", list, where)
    if len(inputs) != len(outputs):
        raise ValueError(f"{where}: outputs: there are {len(outputs)}, for {len(inputs)} inputs")
    return list(zip(inputs, outputs, strict=True))


def _tier(record: dict, where: str) -> str:
    tier = get(record, "difficulty", str, where)
    if tier not in TIERS:
        raise ValueError(f"{where}: difficulty: unknown {tier!r}; there are {', '.join(TIERS)}")
    return tier


def _request(record: dict, where: str) -> str:
    """The request of APPS+, which stands in the docstring of a function, its name drawn at random or the real one."""
    field = next((name for name in PLUS_REQUESTS if name in record), None)
    if field is None:
        raise ValueError(f"{where}: no request: none of {', '.join(PLUS_REQUESTS)} among {', '.join(record)}")
    text = get(record, field, str, where)
    docstring = re.fullmatch(r'\s*def [^\n]*:\s*"""(.*)"""\s*', text, re.DOTALL)
    return docstring[1] if docstring else text


def _defined_name(starter: str) -> str:
    """The function, or the method of a class, that the starter code begins; "" where it begins none."""
    match = re.search(r"^\s*def\s+(\w+)\s*\(", starter, re.MULTILINE)
    return match[1] if match else ""


def _lines(value: object, where: str) -> str:
    """Text for stdin or stdout: some records have it as a list of lines."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    if not isinstance(value, str):
        raise ValueError(f"{where}: inputs, outputs: stdin and stdout need text, got {type(value).__name__}")
    return value


def _reference(solutions: list) -> str:
    """The first solution that is Python 3, with the imports that it takes for granted; "" where none is."""
    for solution in solutions:
        try:
            tree = parse_python(solution, "")
        except ValueError:
            continue
        return _missing_imports(tree) + solution.replace("\r\n", "\n")
    return ""


def _missing_imports(tree: ast.Module) -> str:
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    made = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            made |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
            if any(alias.name == "*" for alias in node.names):
                return ""  # it may bring anything
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            made.add(node.name)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
    used = {node.id for node in names} - made
    lines = [line for name, line in IMPORTS.items() if name in used]
    return "".join(line + "\n" for line in lines) + "\n" * bool(lines)


# Asserts ------------------------------------------------------------------------------------------------------


def _assert(call: str, arguments: object, wanted: object, where: str) -> str:
    """One test: `assert f(1) == 2`, or, where the output stands in a list of one, `assert f(1) in (2, [2])`."""
    if not isinstance(arguments, list):
        raise ValueError(f"{where}: inputs: a function's need a list of arguments, got {type(arguments).__name__}")
    if len(arguments) == 1:
        arguments = [_integer_keys(arguments[0])]
    result = f"{call}({', '.join(map(_literal, arguments))})"
    if isinstance(wanted, list) and len(wanted) == 1:
        (inner,) = wanted = [_integer_keys(wanted[0])]
        if isinstance(inner, list):
            result = f"plain({result})"
        return f"assert {result} in ({_literal(inner)}, {_literal(wanted)})"
    wanted = _integer_keys(wanted)
    if isinstance(wanted, list):
        result = f"plain({result})"
    return f"assert {result} == {_literal(wanted)}"


def _integer_keys(value: object) -> object:
    """A dictionary whose keys are all numbers gets them back: JSON had to make strings of them."""
    if isinstance(value, dict) and value and all(re.fullmatch(r"-?\d+", key) for key in value):
        return {int(key): item for key, item in value.items()}
    return value


def _literal(value: object) -> str:
    """A JSON value as Python source."""
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {_literal(item)}' for key, item in value.items())}}}"
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if isinstance(value, int) and value.bit_length() > 10_000:  # Python reads no more than 4,300 decimal digits
        return hex(value)
    return repr(value)
