"""Completions from a file, in EvalPlus's format, in place of a model: `eval.py --samples FILE.jsonl`.

One JSON object a line, {"task_id", "solution"}: a whole program; or {"task_id", "completion"}: what goes on from the
problem's stub, as in HumanEval. Where both are there the solution counts. Several lines of one task are its samples, in
their order. The text is judged as it stands: nothing is cut out of a fenced block, as EvalPlus cuts nothing either.

A task_id may have the set's prefix or not, here as in the set: "Mbpp/2", "2" and 2 are one problem of MBPP.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from data.problems import Problem, get, read_lines
from rl.rollout import Rollout


def read_samples(path: Path, problems: Sequence[Problem], others: Collection[int | str], name: str) -> list[Rollout]:
    """The samples of the problems, problem by problem, as rollouts without tokens, not yet judged.

    others  ids of the set's other problems (another split, or beyond --problems): lines of theirs are left out
    name    of the set ("mbpp", a path): tells its prefix where its own ids have none

    Raises ValueError with one line that names file, line and field, or says how many problems have no sample.
    """
    wanted = {problem.task_id: problem for problem in problems}
    ids: dict[str, list[int | str]] = {}  # by number: the tasks of that number, mostly one
    for task_id in dict.fromkeys((*wanted, *others)):
        ids.setdefault(spell(task_id)[1], []).append(task_id)
    samples: dict[int | str, list[Rollout]] = {task_id: [] for task_id in wanted}
    for where, record in read_lines(path, "sample"):
        task_id = find_id(record, ids, name, where)
        field, text = read_text(record, where)
        if task_id in wanted:
            prefix = wanted[task_id].stub if field == "completion" else ""
            samples[task_id].append(make_sample(task_id, len(samples[task_id]), text, prefix))
    empty = [task_id for task_id, found in samples.items() if not found]
    if empty:
        raise ValueError(
            f"{path}: no sample for {len(empty)} of {len(wanted)} problems, the first of them {empty[0]!r}; "
            "--split and --problems narrow what is evaluated"
        )
    return [rollout for found in samples.values() for rollout in found]


def make_sample(task_id: int | str, index: int, text: str, prefix: str) -> Rollout:
    """A text as an answer that no model of ours has written: no tokens, and how it ended is not known."""
    return Rollout(task_id, index, [], [], [], "", text, program=(0, len(text), False), prefix=prefix)


def read_text(record: dict, where: str) -> tuple[str, str]:
    """Which of the two fields there is, and its text."""
    for field in ("solution", "completion"):
        if field in record:
            return field, get(record, field, str, where)
    raise ValueError(f"{where}: solution: missing, and so is completion")


def find_id(record: dict, ids: dict[str, list[int | str]], name: str, where: str) -> int | str:
    """The id of the problem in its set. `ids` are all that the set has, by number."""
    task_id = get(record, "task_id", (int, str), where)
    prefix, number = spell(task_id)
    of_set = Path(name).stem.lower()[: len(prefix)]  # stands in where the set's ids have no prefix of their own
    fitting = [known for known in ids.get(number, []) if not prefix or prefix == (spell(known)[0] or of_set)]
    if len(fitting) != 1:
        count = "none" if not fitting else "more than one"
        raise ValueError(f"{where}: task_id: {task_id!r} is {count} of the problems of {name}")
    return fitting[0]


def spell(task_id: int | str) -> tuple[str, str]:
    """Prefix, in small letters, and number: "Mbpp/2" is ("mbpp", "2"), 2 is ("", "2")."""
    prefix, _, number = str(task_id).rpartition("/")
    return prefix.lower(), number
