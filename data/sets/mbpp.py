"""MBPP: 974 short tasks for Python functions, each with a reference solution and three asserts.

Source   Austin et al. 2021, "Program Synthesis with Large Language Models" (arXiv 2108.07732)
Licence  CC BY 4.0
Splits   by task_id: prompt 1-10 (examples to put into few-shot prompts), test 11-510, valid 511-600, train 601-974
Sets     `mbpp`, all 974; `mbpp-sanitized`, the 427 that the authors checked by hand, some with better texts and tests

The full set's `challenge_test_list` (11 problems) is left out: neither the paper's figures nor EvalPlus use it.
Its solutions have lines that end in "\\r\\n", which becomes "\\n" here, as models write it.

It is published in two shapes, of which `read` knows the first and `read_sanitized` the second:

    one JSON object a line: text, code, task_id, test_setup_code, test_list, challenge_test_list
    one JSON list of objects: source_file, task_id, prompt, code, test_imports, test_list
"""

from collections.abc import Sequence
from pathlib import Path

from data.problems import Problem, check_unique, find_entry_point, get, get_strings, parse_python, read_lines, read_list

SPLITS = {"prompt": range(1, 11), "test": range(11, 511), "valid": range(511, 601), "train": range(601, 975)}


def read(path: Path) -> list[Problem]:
    """The full set from its JSON-lines file. Raises ValueError with one line that names line and field."""
    return check_unique(
        (
            (where, _problem(record, get(record, "text", str, where), _setup(record, where), where))
            for where, record in read_lines(path)
        ),
        path,
    )


def read_sanitized(path: Path) -> list[Problem]:
    """The sanitized set from its JSON list; likewise."""
    return check_unique(
        (
            (where, _problem(record, get(record, "prompt", str, where), _imports(record, where), where))
            for where, record in read_list(path)
        ),
        path,
    )


def split_of(task_id: int) -> str:
    """The split that a task of MBPP belongs to; "" for a number that is not one of its tasks."""
    return next((name for name, numbers in SPLITS.items() if task_id in numbers), "")


def describe_splits(problems: Sequence[Problem]) -> str:
    """How many of these problems of MBPP+, which has problems of all splits, RL may have trained on: one line."""
    splits = [problem.split for problem in problems]
    return (
        f"of these problems {splits.count('train')} have ids that MBPP trains on (601 to 974), and "
        f"{splits.count('test')} ids of its test split (11 to 510). After training on the former, report only the "
        "latter: --split test"
    )


def _problem(record: dict, text: str, setup: str, where: str) -> Problem:
    task_id = get(record, "task_id", int, where)
    if not split_of(task_id):
        raise ValueError(f"{where}: task_id: {task_id} is none of MBPP's, which are 1 to 974")
    code = _unix(get(record, "code", str, where))
    tests = get_strings(record, "test_list", where)
    return Problem(
        task_id=task_id,
        text=text,
        code=code,
        test_list=tests,
        entry_point=find_entry_point(code, tests, where),
        test_setup_code=setup,
        split=split_of(task_id),
    )


def _setup(record: dict, where: str) -> str:
    setup = _unix(get(record, "test_setup_code", str, where))
    parse_python(setup, f"{where}: test_setup_code")
    return setup


def _imports(record: dict, where: str) -> str:
    """Lines such as "import math", which its tests need; most problems have none."""
    lines = get(record, "test_imports", list, where)
    setup = "\n".join(get_strings(record, "test_imports", where)) if lines else ""
    parse_python(setup, f"{where}: test_imports")
    return setup


def _unix(source: str) -> str:
    return source.replace("\r\n", "\n")
