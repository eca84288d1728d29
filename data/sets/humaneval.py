"""HumanEval: 164 functions to be completed from signature and docstring, with one `check(candidate)` each.

Source   Chen et al. 2021, "Evaluating Large Language Models Trained on Code" (arXiv 2107.03374); openai/human-eval
Licence  MIT
Splits   test only
Layout   one JSON object a line: task_id ("HumanEval/0"), prompt, entry_point, canonical_solution, test

A completion continues `prompt`, which is the problem's stub; a few prompts also hold a helper that the check calls.
A check counts as one test, however many asserts it has.
"""

import ast
from pathlib import Path

from data.problems import Problem, check_unique, find_function, get, parse_python, read_lines


def read(path: Path) -> list[Problem]:
    """The set from its JSON-lines file. ValueError names line and field."""
    return check_unique(((where, _problem(record, where)) for where, record in read_lines(path)), path)


def _problem(record: dict, where: str) -> Problem:
    fields = ("task_id", "prompt", "entry_point", "canonical_solution", "test")
    task_id, stub, entry_point, solution, check = (get(record, field, str, where) for field in fields)
    code = stub + solution
    function = find_function(parse_python(code, f"{where}: prompt + canonical_solution"), entry_point)
    if function is None:
        raise ValueError(f"{where}: entry_point: the prompt defines no function {entry_point!r}")
    if find_function(parse_python(check, f"{where}: test"), "check") is None:
        raise ValueError(f"{where}: test: defines no function check")
    text = ast.get_docstring(function) or stub.strip()  # one function has its docstring in the wrong place
    return Problem(task_id, text, code, entry_point=entry_point, split="test", check=check, stub=stub)
