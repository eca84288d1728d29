"""APPS and APPS+: problems of programming contests. Whole programs and functions are separate sets.

             APPS                                            APPS+
Source       Hendrycks et al. 2021 (arXiv 2105.09938);       Dou et al. 2024, "StepCoder" (arXiv 2402.01391);
             codeparrot/apps on the Hugging Face hub         Ablustrund/APPS_Plus, data/v1/data.json
Licence      MIT                                             MIT
Records      5,000 to train on, 5,000 to test with           7,413, of which 2,634 (36 %) ask for a function
Layout       JSON lines: id (problem_id on the hub's own     one JSON list: a request (see PLUS_REQUESTS), inputs,
             pages), question, solutions and                 outputs, starter_code, canonical_solution,
             input_output (JSON texts), difficulty,          difficulty
             url, starter_code
Splits       test: the test file. valid: the records of      none is published. Ours, by the position in the list:
             the train file whose id ends in 9;              ends in 9: test, ends in 8: valid, else train
             train: the others
Names        "train/0", "test/0"                             the position in the list, from 0

A program that reads stdin cannot pass tests that are lists of arguments, so a training set that mixes both has
unsolvable problems: `read_programs` reads one kind, `read_functions` the other. `tier` is the published difficulty.

Left out: records without a test (about 550 of APPS' train file), and programs that should print nothing. The reference
is the first solution that is Python 3, if any, with the imports that the published checker runs before it.

Programs: the output is compared line by line; if an expected output has a decimal fraction, numbers may be off by 1e-6.

Functions: the published checker accepts a result that equals the stored output or its first element, because outputs
are often stored in a list of one; tuples count as lists. We accept the element only from a list of one; otherwise the
first of several correct values would pass. If all keys of a lone dictionary are integers in JSON's strings, they become
integers again.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from data.problems import Problem, check_unique, get, literal, parse_json, parse_python, read_lines, read_list

TIERS = ("introductory", "interview", "competition")
# The name of APPS+'s request field is not certain (docs/data.md); other programs try these, in this order.
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
    """The whole programs of APPS' train or test file; the file's name tells which file it is."""
    return check_unique(_programs(_read_apps(path)), path)


def read_functions(path: Path) -> list[Problem]:
    """The problems of APPS' train or test file that ask for a function, or a method of a class Solution."""
    return check_unique(_functions(_read_apps(path)), path)


def read_plus_programs(path: Path) -> list[Problem]:
    """The whole programs of APPS+."""
    return check_unique(_programs(_read_plus(path)), path)


def read_plus_functions(path: Path) -> list[Problem]:
    """The problems of APPS+ that ask for a function."""
    return check_unique(_functions(_read_plus(path)), path)


def _programs(problems: Iterable[tuple[str, Problem]]) -> Iterator[tuple[str, Problem]]:
    """Problems that expect some output; otherwise a program that does nothing would pass."""
    return (pair for pair in problems if any(stdout.strip() for _, stdout in pair[1].cases))


def _functions(problems: Iterable[tuple[str, Problem]]) -> Iterator[tuple[str, Problem]]:
    return (pair for pair in problems if not pair[1].cases)


# Records ------------------------------------------------------------------------------------------------------


def _read_apps(path: Path) -> Iterator[tuple[str, Problem]]:
    file = "test" if "test" in path.name else "train"
    for where, record in read_lines(path):
        number = get(record, "problem_id" if "problem_id" in record else "id", int, where)
        text, starter = get(record, "question", str, where), get(record, "starter_code", str, where)
        tests = _parse_field(record, "input_output", dict, where)
        solutions = _parse_field(record, "solutions", list, where)
        if not all(isinstance(solution, str) for solution in solutions):
            raise ValueError(f"{where}: solutions: needs a list of strings")
        if tests.get("inputs"):
            facts = {
                "task_id": f"{file}/{number}",
                "code": _reference(solutions),
                "tier": _tier(record, where),
                "split": "test" if file == "test" else "valid" if number % 10 == 9 else "train",
            }
            yield where, _problem(text, starter, _pairs(tests, where), tests.get("fn_name") or "", facts, where)


def _read_plus(path: Path) -> Iterator[tuple[str, Problem]]:
    for position, (where, record) in enumerate(read_list(path)):
        tests = _pairs(record, where)
        if not tests:
            continue
        starter, solution = get(record, "starter_code", str, where), get(record, "canonical_solution", str, where)
        definition = re.search(r"^\s*def\s+(\w+)\s*\(", starter, re.MULTILINE)  # of a function or a method
        function = definition[1] if definition else ""
        if all(isinstance(given, str) for given, _ in tests):  # a program
            if function:  # the solution is a function without parameters, which needs a call
                solution = f"{solution.rstrip()}\n\n\n{function}()\n"
            starter = function = ""
        elif not function:
            raise ValueError(f"{where}: starter_code: begins no function")
        facts = {
            "task_id": position,
            "code": _reference([solution]),
            "tier": _tier(record, where),
            "split": {9: "test", 8: "valid"}.get(position % 10, "train"),
        }
        yield where, _problem(_request(record, where), starter, tests, function, facts, where)


def _problem(
    text: str, starter: str, tests: list[tuple[object, object]], function: str, facts: dict[str, Any], where: str
) -> Problem:
    """A problem with cases if `function` is "", else with asserts. `facts` are further fields of Problem."""
    text = text.strip()
    if not function:
        cases = tuple((_lines(given, where), _lines(wanted, where)) for given, wanted in tests)
        tolerance = TOLERANCE if any(re.search(r"\d\.\d", wanted) for _, wanted in cases) else 0.0
        return Problem(text=text, cases=cases, tolerance=tolerance, **facts)
    method = re.search(r"^class Solution\b", starter, re.MULTILINE) is not None
    call = f"Solution().{function}" if method else function
    asserts = tuple(_assert(call, given, wanted, where) for given, wanted in tests)
    for number, test in enumerate(asserts):
        parse_python(test, f"{where}: test {number}")
    return Problem(
        text=f"{text}\n\nIt has to begin like this:\n{starter.rstrip()}" if starter.strip() else text,
        test_list=asserts,
        entry_point="Solution" if method else function,
        test_setup_code=PLAIN,
        **facts,
    )


# Fields -------------------------------------------------------------------------------------------------------


def _parse_field(record: dict, field: str, kind: type, where: str) -> Any:
    """The value of a field of JSON text; an empty list or dict if the text is empty, as in some records."""
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
    """The request of APPS+, which is the docstring of a function with a random or the real name."""
    field = next((name for name in PLUS_REQUESTS if name in record), None)
    if field is None:
        raise ValueError(f"{where}: no request: none of {', '.join(PLUS_REQUESTS)} among {', '.join(record)}")
    text = get(record, field, str, where)
    docstring = re.fullmatch(r'\s*def [^\n]*:\s*"""(.*)"""\s*', text, re.DOTALL)
    return docstring[1] if docstring else text


def _lines(value: object, where: str) -> str:
    """Text for stdin or stdout; some records have a list of lines instead."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    if not isinstance(value, str):
        raise ValueError(f"{where}: inputs, outputs: stdin and stdout need text, got {type(value).__name__}")
    return value


def _reference(solutions: list[str]) -> str:
    """The first solution that is Python 3, with the imports that it lacks; "" if there is none."""
    for solution in solutions:
        try:
            tree = parse_python(solution, "")
        except ValueError:
            continue
        return _missing_imports(tree) + solution.replace("\r\n", "\n")
    return ""


def _missing_imports(tree: ast.Module) -> str:
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    defined = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            defined |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
            if any(alias.name == "*" for alias in node.names):
                return ""  # it may define any name
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, ast.arg):
            defined.add(node.arg)
    used = {node.id for node in names} - defined
    lines = [line for name, line in IMPORTS.items() if name in used]
    return "".join(line + "\n" for line in lines) + "\n" * bool(lines)


# Asserts ------------------------------------------------------------------------------------------------------


def _assert(call: str, arguments: object, wanted: object, where: str) -> str:
    """One test: `assert f(1) == 2`, or `assert f(1) in (2, [2])` if the output is stored in a list of one."""
    if not isinstance(arguments, list):
        raise ValueError(f"{where}: inputs: a function's need a list of arguments, got {type(arguments).__name__}")
    if len(arguments) == 1:
        arguments = [_integer_keys(arguments[0])]
    result = f"{call}({', '.join(map(literal, arguments))})"
    if isinstance(wanted, list) and len(wanted) == 1:
        (inner,) = wanted = [_integer_keys(wanted[0])]
        if isinstance(inner, list):
            result = f"plain({result})"
        return f"assert {result} in ({literal(inner)}, {literal(wanted)})"
    wanted = _integer_keys(wanted)
    if isinstance(wanted, list):
        result = f"plain({result})"
    return f"assert {result} == {literal(wanted)}"


def _integer_keys(value: object) -> object:
    """A dictionary whose keys are all integers gets them back: JSON has only string keys."""
    if isinstance(value, dict) and value and all(re.fullmatch(r"-?\d+", key) for key in value):
        return {int(key): item for key, item in value.items()}
    return value
