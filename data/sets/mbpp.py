"""MBPP: 974 short tasks for Python functions, each with a reference solution and three asserts.

Source   Austin et al. 2021, "Program Synthesis with Large Language Models" (arXiv 2108.07732)
Licence  CC BY 4.0
Splits   by task_id: prompt 1-10 (examples for few-shot prompts), test 11-510, valid 511-600, train 601-974
Sets     `mbpp`, all 974; `mbpp-sanitized`, the 427 that the authors checked by hand, some with better texts and tests
Layout   `mbpp`: one JSON object a line: text, code, task_id, test_setup_code, test_list, challenge_test_list
         `mbpp-sanitized`: one JSON list of objects: source_file, task_id, prompt, code, test_imports, test_list

`challenge_test_list` (11 problems) is not used: neither the paper's results nor EvalPlus use it. Lines of the solutions
end in "\\r\\n", which becomes "\\n", as models write it.
"""

from collections.abc import Sequence
from pathlib import Path

from data.problems import Problem, check_unique, find_entry_point, get, get_strings, parse_python, read_lines, read_list

SPLITS = {"prompt": range(1, 11), "test": range(11, 511), "valid": range(511, 601), "train": range(601, 975)}


def read(path: Path) -> list[Problem]:
    """The full set from its JSON-lines file. ValueError names line and field."""
    return check_unique(((where, _full_problem(record, where)) for where, record in read_lines(path)), path)


def read_sanitized(path: Path) -> list[Problem]:
    """The sanitized set from its JSON list. ValueError names record and field."""
    return check_unique(((where, _sanitized_problem(record, where)) for where, record in read_list(path)), path)


def split_of(task_id: int) -> str:
    """The split of a task of MBPP; "" for a number that is not one of its tasks."""
    return next((name for name, numbers in SPLITS.items() if task_id in numbers), "")


def describe_splits(problems: Sequence[Problem]) -> str:
    """How many of these problems of MBPP+, which has problems of all splits, RL may have trained on: one line."""
    splits = [problem.split for problem in problems]
    return (
        f"of these problems {splits.count('train')} have ids that MBPP trains on (601 to 974), and "
        f"{splits.count('test')} ids of its test split (11 to 510). After training on the former, report only the "
        "latter: --split test"
    )


def _full_problem(record: dict, where: str) -> Problem:
    text, setup = get(record, "text", str, where), get(record, "test_setup_code", str, where)
    return _problem(record, text, setup, "test_setup_code", where)


def _sanitized_problem(record: dict, where: str) -> Problem:
    """The setup is lines such as "import math", which the tests need; most problems have none."""
    text, lines = get(record, "prompt", str, where), get(record, "test_imports", list, where)
    setup = "\n".join(get_strings(record, "test_imports", where)) if lines else ""
    return _problem(record, text, setup, "test_imports", where)


def _problem(record: dict, text: str, setup: str, setup_field: str, where: str) -> Problem:
    setup = setup.replace("\r\n", "\n")
    parse_python(setup, f"{where}: {setup_field}")
    task_id = get(record, "task_id", int, where)
    if not split_of(task_id):
        raise ValueError(f"{where}: task_id: {task_id} is not in MBPP, which has 1 to 974")
    code = get(record, "code", str, where).replace("\r\n", "\n")
    tests = get_strings(record, "test_list", where)
    entry_point = find_entry_point(code, tests, where)
    return Problem(task_id, text, code, tests, entry_point, setup, split=split_of(task_id))
