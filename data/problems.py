"""The problem schema and its loader: records in the shape of MBPP, one JSON object a line.

A record holds `task_id` (an integer), `text` (the request), `code` (a reference solution), `test_list`
(assert statements; the prompt shows the first one) and, optionally, `test_setup_code`, `family`, `tier`, `split`,
`support` (stand-ins for modules that the sandbox does not have) and `unsafe` (a solution that passes the tests, too,
and that a security linter objects to). MBPP itself: Austin et al. 2021, "Program Synthesis with Large Language Models".
"""

import ast
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

EMBEDDED = Path(__file__).parent / "embedded"
SPLITS = ("train", "valid", "test")
OPTIONAL = ("test_setup_code", "family", "tier", "split", "support", "unsafe")


@dataclass(frozen=True)
class Problem:
    """One task. `entry_point` is the function that the tests call; `split` may end in "/unseen"."""

    task_id: int
    text: str
    code: str
    test_list: tuple[str, ...]
    entry_point: str
    test_setup_code: str = ""
    family: str = ""
    tier: str = ""
    split: str = ""
    support: str = ""
    unsafe: str = ""

    @property
    def unseen(self) -> bool:
        """Whether RL trains on no problem of this one's family."""
        return self.split.endswith("/unseen")


def load_problems(source: str | Path, split: str) -> list[Problem]:
    """The problems of `split` ("train", "valid", "test" or "all") from "embedded", "security" or a JSON-lines file.

    Raises ValueError with one line that names the file, the line number and the field.
    """
    if split not in (*SPLITS, "all"):
        raise ValueError(f"--split: unknown split {split!r}; there are {', '.join(SPLITS)}, all")
    if str(source) == "embedded":
        paths = [EMBEDDED / f"{name}.jsonl" for name in (SPLITS if split == "all" else (split,))]
    elif str(source) == "security":
        paths = [EMBEDDED / "security.jsonl"]
    else:
        paths = [Path(source)]
    problems = [problem for path in paths for problem in read_problems(path)]
    chosen = [p for p in problems if split == "all" or p.split in (split, f"{split}/unseen")]
    if not chosen:
        raise ValueError(f"{source}: split: no record has {split!r}; each needs a split to train on the file")
    return chosen


def read_problems(path: Path) -> list[Problem]:
    """Every record of a JSON-lines file, in its order, validated."""
    problems, seen = [], {}
    if not path.is_file():
        raise ValueError(f"--data: no problems file {str(path)!r}; give embedded, security or a JSON-lines file")
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text (byte {error.start})") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        problem = parse_problem(line, f"{path}:{number}")
        if problem.task_id in seen:
            raise ValueError(
                f"{path}:{number}: task_id: {problem.task_id} stands on line {seen[problem.task_id]} already"
            )
        seen[problem.task_id] = number
        problems.append(problem)
    if not problems:
        raise ValueError(f"{path}: holds no problem")
    return problems


def parse_problem(line: str, where: str) -> Problem:
    """One record; `where` ("file:line") starts every error."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not JSON: {error.msg} (column {error.colno})") from error
    if not isinstance(record, dict):
        raise ValueError(f"{where}: a problem is a JSON object, not {type(record).__name__}")
    for field, kind in (("task_id", int), ("text", str), ("code", str), ("test_list", list)):
        if field not in record:
            raise ValueError(f"{where}: {field}: missing")
        if not isinstance(record[field], kind) or isinstance(record[field], bool):
            raise ValueError(f"{where}: {field}: needs {kind.__name__}, got {type(record[field]).__name__}")
    optional = {field: record.get(field, "") for field in OPTIONAL}
    for field, value in optional.items():
        if not isinstance(value, str):
            raise ValueError(f"{where}: {field}: needs str, got {type(value).__name__}")
    tests = record["test_list"]
    if not tests or not all(isinstance(test, str) for test in tests):
        raise ValueError(f"{where}: test_list: needs at least one test, all of them strings")
    return Problem(
        task_id=record["task_id"],
        text=record["text"],
        code=record["code"],
        test_list=tuple(tests),
        entry_point=find_entry_point(record["code"], tests, where),
        **optional,
    )


def find_entry_point(code: str, tests: list[str], where: str) -> str:
    """The last top-level function or class of the reference that the tests name."""
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


def parse_python(source: str, where: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\\d" in somebody's solution is not our affair
            return ast.parse(source)
    except (SyntaxError, ValueError) as error:  # ValueError: a NUL in the text
        raise ValueError(f"{where}: not Python: {error}") from error
