"""Completions from a file in EvalPlus's format, in place of a model: `eval.py --samples FILE.jsonl`.

One JSON object a line: {"task_id", "solution"} with a whole program, or {"task_id", "completion"} with the text that
follows the problem's stub. A solution has precedence. The lines of a task are its samples, in their order. As in
EvalPlus, no fenced block is cut out. "Mbpp/2", "2" and 2 are one problem of MBPP.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from data.problems import Problem, get, read_lines
from rl.rollout import Rollout


def read_samples(path: Path, problems: Sequence[Problem], others: Collection[int | str], name: str) -> list[Rollout]:
    """The samples, problem by problem, as rollouts without tokens that are not judged yet. ValueError, one line, names
    file, line and field, or says how many problems have no sample.

    others  task_ids of the set that are not asked for; their lines are skipped
    name    of the set ("mbpp", a path): gives the prefix if the set's own task_ids have none
    """
    wanted = {problem.task_id: problem for problem in problems}
    ids: dict[str, list[int | str]] = {}  # by number: the tasks of that number, usually one
    for task_id in dict.fromkeys((*wanted, *others)):
        ids.setdefault(spell(task_id)[1], []).append(task_id)
    samples: dict[int | str, list[Rollout]] = {task_id: [] for task_id in wanted}
    for where, record in read_lines(path, "sample"):
        task_id = find_id(record, ids, name, where)
        field = next((field for field in ("solution", "completion") if field in record), None)
        if field is None:
            raise ValueError(f"{where}: solution: missing, and so is completion")
        text = get(record, field, str, where)
        if task_id in wanted:
            prefix = wanted[task_id].stub if field == "completion" else ""
            index = len(samples[task_id])
            program = (0, len(text), False)
            samples[task_id].append(Rollout(task_id, index, [], [], [], "", text, program=program, prefix=prefix))
    empty = [task_id for task_id, found in samples.items() if not found]
    if empty:
        lacking = f"no sample for {len(empty)} of {len(wanted)} problems, the first of them {empty[0]!r}"
        raise ValueError(f"{path}: {lacking}; --split and --problems narrow what is evaluated")
    return [rollout for found in samples.values() for rollout in found]


def find_id(record: dict, ids: dict[str, list[int | str]], name: str, where: str) -> int | str:
    """The task_id in the set. `ids` are all task_ids of the set, by number."""
    task_id = get(record, "task_id", (int, str), where)
    prefix, number = spell(task_id)
    of_set = Path(name).stem.lower()[: len(prefix)]  # for task_ids of the set without a prefix
    fitting = [known for known in ids.get(number, []) if not prefix or prefix == (spell(known)[0] or of_set)]
    if len(fitting) != 1:
        count = "none" if not fitting else "more than one"
        raise ValueError(f"{where}: task_id: {task_id!r} is {count} of the problems of {name}")
    return fitting[0]


def spell(task_id: int | str) -> tuple[str, str]:
    """Prefix in small letters, and number: "Mbpp/2" is ("mbpp", "2"), 2 is ("", "2")."""
    prefix, _, number = str(task_id).rpartition("/")
    return prefix.lower(), number
