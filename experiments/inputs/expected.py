"""What the canonical solutions of EvalPlus's sets return: run once in the sandbox, then remembered.

    data file --> records (data/sets/evalplus.py) --> each solution on each of its inputs, in the sandbox --> Expected
                                                              |  ^
                                                              v  |
                                                 CACHE/expected/v1-py3.11-SHA256.json

A solution is a program like any other: what it returns comes back as plain data, of exact types (sandbox.read_value).
The cache file is named by the data file's content, this module's format and Python's version (the order of a set may
change between versions); it is written whole or not at all, and bears a checksum: one that is damaged is not used, and
said to be so on stderr.

An output that no answer could be judged on is no test: one of more than 256 KiB, which is as much as an answer may
return in one piece, or one that does not fit into an answer's memory. Of MBPP+'s 41,015 inputs there are 16 such, 6 of
Mbpp/255 (up to 640 MB) and 10 of Mbpp/630 (up to 2 MB).
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from data.problems import literal
from data.sets.evalplus import EvalPlusTask, Expected
from data.sets.registry import cache_directory
from experiments.files import remember
from experiments.inputs.references import Broken, describe, leave_out, run_with_bar, shorten
from experiments.inputs.tasks import start_sandbox
from sandbox import Limits, Outcome, Sandbox, Task, Verdict, read_value

VERSION = 1
# As much memory and as long replies as answers have; as much time as it takes, on a busy machine too.
WIDE = Limits(test_cpu_seconds=60.0, test_wall_seconds=300.0, program_cpu_seconds=300.0, program_wall_seconds=1500.0)
TOO_LARGE = ("ReplyTooLarge", "MemoryError")


def expected_outputs(
    path: Path, records: Sequence[EvalPlusTask], slots: int = 2, allow_weak: bool = False, skip_broken: bool = False
) -> dict[str, Expected]:
    """Of each task_id what its canonical solution returns on each input, and the CPU time that it takes.

    path         the file that the records come from
    records      some or all of its tasks
    skip_broken  a task whose solution fails on an input is left out, with a line on stderr (verify.leave_out)

    Raises ValueError, one line, where a solution fails and is not to be left out, where none is left, and where the
    sandbox does not start. What the others return is remembered even then.
    """
    cache = cache_path(path)
    known = read_cache(cache, records)
    missing, broken = [record for record in records if record.task_id not in known], []
    if missing:
        with start_sandbox(slots, WIDE, allow_weak) as judge:
            fresh, broken = run_solutions(missing, judge)
        if fresh:
            known |= fresh
            remember(cache, json.dumps({"sha256": checksum(known), "tasks": known}) + "\n", "the canonical solutions")
    kept = leave_out(records, broken, skip_broken)
    return {record.task_id: from_plain(known[record.task_id]) for record in kept}


# Running --------------------------------------------------------------------------------------------------------


def run_solutions(records: Sequence[EvalPlusTask], judge: Sandbox) -> tuple[dict[str, dict], list[Broken]]:
    """Each solution on its inputs, as plain data: outputs are JSON texts, fields those of Expected. Apart from these,
    in the order of the records, the tasks whose solution fails."""
    outcomes = run_with_bar(judge, [calls_of(record) for record in records], "expected outputs")
    found, broken = {}, []
    for record, outcome in zip(records, outcomes, strict=True):
        read = read_outcome(record, outcome)
        if isinstance(read, Broken):
            broken.append(read)
        else:
            found[record.task_id] = read
    # The time that counts is that of the inputs that become tests: once more without the others.
    partial = [record for record in records if record.task_id in found and found[record.task_id]["left_out"]]
    again = judge.run([calls_of(record, found[record.task_id]["left_out"]) for record in partial])
    for record, outcome in zip(partial, again, strict=True):
        found[record.task_id]["cpu_seconds"] = outcome.cpu_seconds
    return found, broken


def calls_of(record: EvalPlusTask, left_out: Sequence[int] = ()) -> Task:
    """The solution, and for each input that is not left out a test that only calls it."""
    calls = tuple(record.call(index) for index in range(len(record.inputs)) if index not in left_out)
    return Task(record.code, tests=calls, entry_point=record.entry_point, want_values=True)


def read_outcome(record: EvalPlusTask, outcome: Outcome) -> dict | Broken:
    """What one solution returned; Broken where it has not returned from a call, or what is no plain data."""
    outputs, left_out = [], []
    for index, verdict in enumerate(outcome.tests):
        if verdict.error_type in TOO_LARGE:
            left_out.append(index)
            outputs.append("null")
        elif mistake := find_mistake(record, verdict, outcome):
            return Broken(record.task_id, place(record, index), mistake)
        else:
            outputs.append(json.dumps(verdict.returned != "null") if record.asks_for_existence else verdict.returned)
    if left_out[: record.base] == list(range(record.base)):
        return Broken(record.task_id, "base_input", "every output is too large for a test")
    return {"outputs": outputs, "left_out": left_out, "cpu_seconds": outcome.cpu_seconds}


def find_mistake(record: EvalPlusTask, verdict: Verdict, outcome: Outcome) -> str:
    """Why what came of a call cannot be an expected output, in a few words; "" where it can."""
    if verdict.word != "passed":
        return describe(verdict, outcome)
    if verdict.returned is None:
        return "it returns data nested too deep"
    if not record.asks_for_existence:
        try:
            literal(read_value(verdict.returned))
        except (ValueError, TypeError) as error:
            return f"it returns no plain data: {error}"
    return ""


def from_plain(fields: dict) -> Expected:
    return Expected(tuple(map(read_value, fields["outputs"])), tuple(fields["left_out"]), float(fields["cpu_seconds"]))


def place(record: EvalPlusTask, index: int) -> str:
    """One input, for people: "plus_input[0] (f(2))"."""
    kind, number = ("base", index) if index < record.base else ("plus", index - record.base)
    return f"{kind}_input[{number}] ({shorten(record.call(index))})"


# The cache ------------------------------------------------------------------------------------------------------


def cache_path(path: Path) -> Path:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    major, minor = sys.version_info[:2]
    return cache_directory() / "expected" / f"v{VERSION}-py{major}.{minor}-{digest}.json"


def read_cache(path: Path, records: Sequence[EvalPlusTask]) -> dict[str, dict]:
    """What is remembered; nothing, and a word on stderr, where the file is not as it was written."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
        tasks = content["tasks"]
        if content["sha256"] != checksum(tasks):
            raise ValueError("another checksum")
        if any(len(tasks[r.task_id]["outputs"]) != len(r.inputs) for r in records if r.task_id in tasks):
            raise ValueError("of other inputs")
    except (ValueError, TypeError, KeyError) as error:
        print(f"{path}: damaged ({error}); the canonical solutions are run again", file=sys.stderr)
        return {}
    return tasks


def checksum(tasks: dict) -> str:
    return hashlib.sha256(json.dumps(tasks).encode()).hexdigest()
