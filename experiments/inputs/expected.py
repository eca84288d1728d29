"""The expected outputs of EvalPlus's sets: what the canonical solutions return.

    data file --> records (data/sets/evalplus.py) --> each solution on each of its inputs, in the sandbox --> Expected

Outputs come back as plain data of exact types (sandbox.read_value). The cache remembers them by the data file's
content, this module's format and Python's version (versions may differ in the order of a set).

An output that no answer could return is no test: more than 256 KiB, or more than an answer's memory. MBPP+ has 16 such
inputs of 41,015: 6 of Mbpp/255 (up to 640 MB) and 10 of Mbpp/630 (up to 2 MB).
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from data.problems import literal
from data.sets.evalplus import EvalPlusTask, Expected
from data.sets.registry import cache_directory
from experiments.files import recall, remember
from experiments.inputs.references import Broken, describe_failure, leave_out, run_with_bar, shorten
from experiments.inputs.tasks import start_sandbox
from sandbox import Limits, Outcome, Sandbox, Task, Verdict, read_value

VERSION = 2  # of the cache file
# Memory and reply size of an answer; enough time also on a busy machine.
WIDE = Limits(test_cpu_seconds=60.0, test_wall_seconds=300.0, program_cpu_seconds=300.0, program_wall_seconds=1500.0)
TOO_LARGE = ("ReplyTooLarge", "MemoryError")


def expected_outputs(
    path: Path, records: Sequence[EvalPlusTask], slots: int = 2, allow_weak: bool = False, skip_broken: bool = False
) -> dict[str, Expected]:
    """By task_id: what the canonical solution returns on each input, and its CPU time.

    path         the file of the records
    records      some or all of its tasks
    skip_broken  as in leave_out

    ValueError, one line, as in leave_out, or if the sandbox does not start.
    """
    cache = cache_path(path)
    known = recall(cache, "the canonical solutions")
    missing, broken = [record for record in records if record.task_id not in known], []
    if missing:
        with start_sandbox(slots, WIDE, allow_weak) as judge:
            fresh, broken = run_solutions(missing, judge)
        if fresh:
            known |= fresh
            remember(cache, known, "the canonical solutions")
    found = {}
    for record in leave_out(records, broken, skip_broken):
        fields = known[record.task_id]
        outputs = tuple(map(read_value, fields["outputs"]))
        found[record.task_id] = Expected(outputs, tuple(fields["left_out"]), fields["cpu_seconds"])
    return found


def run_solutions(records: Sequence[EvalPlusTask], judge: Sandbox) -> tuple[dict[str, dict], list[Broken]]:
    """The fields of Expected by task_id, with outputs as JSON texts; and the tasks whose solution fails, in order."""
    outcomes = run_with_bar(judge, [calls_of(record) for record in records], "expected outputs")
    found, broken = {}, []
    for record, outcome in zip(records, outcomes, strict=True):
        result = read_outcome(record, outcome)
        if isinstance(result, Broken):
            broken.append(result)
        else:
            found[record.task_id] = result
    # The time to keep is that of the tests: run again without the inputs that are left out.
    partial = [record for record in records if record.task_id in found and found[record.task_id]["left_out"]]
    again = judge.run([calls_of(record, found[record.task_id]["left_out"]) for record in partial])
    for record, outcome in zip(partial, again, strict=True):
        found[record.task_id]["cpu_seconds"] = outcome.cpu_seconds
    return found, broken


def calls_of(record: EvalPlusTask, left_out: Sequence[int] = ()) -> Task:
    """The solution, with one test for each input that is not left out, which only calls it."""
    calls = tuple(record.call(index) for index in range(len(record.inputs)) if index not in left_out)
    return Task(record.code, tests=calls, entry_point=record.entry_point, want_values=True)


def read_outcome(record: EvalPlusTask, outcome: Outcome) -> dict | Broken:
    """The fields of Expected; Broken if a call did not return, or returned no plain data."""
    outputs, left_out = [], []
    for index, verdict in enumerate(outcome.tests):
        if verdict.error_type in TOO_LARGE:
            left_out.append(index)
            outputs.append("null")
        elif mistake := find_mistake(record, verdict, outcome):
            kind, number = ("base", index) if index < record.base else ("plus", index - record.base)
            return Broken(record.task_id, f"{kind}_input[{number}] ({shorten(record.call(index))})", mistake)
        else:
            outputs.append(json.dumps(verdict.returned != "null") if record.asks_for_existence else verdict.returned)
    if left_out[: record.base] == list(range(record.base)):
        return Broken(record.task_id, "base_input", "every output is too large for a test")
    return {"outputs": outputs, "left_out": left_out, "cpu_seconds": outcome.cpu_seconds}


def find_mistake(record: EvalPlusTask, verdict: Verdict, outcome: Outcome) -> str:
    """Why a call gave no expected output, in a few words; "" if it gave one."""
    if verdict.word != "passed":
        return describe_failure(verdict, outcome)
    if verdict.returned is None:
        return "it returns data nested too deep"
    if not record.asks_for_existence:
        try:
            literal(read_value(verdict.returned))
        except (ValueError, TypeError) as error:
            return f"it returns no plain data: {error}"
    return ""


def cache_path(path: Path) -> Path:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    major, minor = sys.version_info[:2]
    return cache_directory() / "expected" / f"v{VERSION}-py{major}.{minor}-{digest}.json"
