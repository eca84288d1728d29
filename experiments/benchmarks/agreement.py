"""Our verdicts and EvalPlus's on the same programs: MBPP+, three programs for each task.

    python experiments/bench.py agreement --data MbppPlus.jsonl    that file
    python experiments/bench.py agreement                          the file that `fetch.py mbppplus` has fetched

The programs: the canonical solution; a mutant of it (mutants.py); and in turn another mutant, a function that returns
None, or the right answer as another type (a list for a tuple, a float for an integer, and vice versa).

EvalPlus (release 0.3.1, extra `peers`) judges with its own functions and limits in another process. Both sides say
whether a program passes the benchmark's own inputs (base) and EvalPlus's (plus). Each disagreement is listed;
docs/evaluation.md explains the known ones.
"""

import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.problems import Problem
from data.sets.evalplus import EvalPlusTask, make_problems, read_tasks
from data.sets.registry import find
from experiments.benchmarks import peers
from experiments.benchmarks.mutants import mutants
from experiments.benchmarks.tools import BenchTable, describe_machine, find_python, run_in_batches, run_script
from experiments.inputs.expected import expected_outputs
from experiments.inputs.tasks import make_task, program_limits
from experiments.options import bad_input_is_one_line, option, parse
from sandbox import Outcome, Sandbox, Stage

PARTS = ("base", "plus")
PROGRAM_KINDS = ("reference", "mutant", "other type", "returns None")

# Appended to a solution: it returns the same answers as another type.
OTHER_TYPE = """

def _other_type(value):
    if isinstance(value, (list, tuple)):
        return tuple(value) if isinstance(value, list) else list(value)
    if isinstance(value, (bool, float)):
        return int(value)
    return float(value) if isinstance(value, int) else value


_right = {name}


def {name}(*arguments):
    return _other_type(_right(*arguments))
"""


@dataclass
class AgreementBenchOptions:
    data: str = option("", "MbppPlus.jsonl; default: the file that fetch.py has fetched")
    slots: int = option(2, "slots of the sandbox, and processes of EvalPlus", least=1)
    every: int = option(1, "take every Nth task only", least=1)
    peers_python: str = option(sys.executable, "Python of the environment that EvalPlus is installed in")


@dataclass
class JudgedProgram:
    """A program for a task, our outcome, and EvalPlus's verdict (as evalplus_judge.py writes it)."""

    problem: Problem
    kind: str
    program: str
    ours: Outcome | None = None
    evalplus: dict | None = None

    def select(self, items: Sequence, part: str) -> Sequence:
        """The base or the plus part of the tests, or of their verdicts."""
        count = self.problem.base_tests
        return items[:count] if part == "base" else items[count:]

    def passes_ours(self, part: str) -> bool:
        """Whether all tests of the part pass; without tests, whether the program runs."""
        words = {test.word for test in self.select(self.ours.tests, part)}
        return words <= {"passed"} and self.ours.stage > Stage.PARSES

    def passes_evalplus(self, part: str) -> bool:
        return self.evalplus[part] == "pass"

    def describe(self, part: str) -> str:
        """What both sides saw; of ours the first test that failed."""
        saw = "every test passes"
        tests = self.select(self.problem.test_list, part)
        for test, verdict in zip(tests, self.select(self.ours.tests, part), strict=True):
            if verdict.word != "passed":
                saw = f"{test[:300]}: {verdict.word} {verdict.error_type}, value {verdict.value}"
                break
        passes = "ours" if self.passes_ours(part) else "EvalPlus"
        return (
            f"{self.problem.task_id}, {self.kind}, {part}: only {passes} passes it\n"
            f"  EvalPlus: {self.evalplus[part]}, run on {self.evalplus[f'{part}_done']} inputs\n"
            f"  ours: {saw}\n{self.program}"
        )


def main(arguments: list[str] | None = None) -> None:
    options = parse(AgreementBenchOptions, arguments, "bench.py agreement", __doc__.splitlines()[0])
    with bad_input_is_one_line("bench.py agreement"):
        python = find_python(options.peers_python)
        version = evalplus_version(python)
        path = Path(options.data) if options.data else find("mbppplus")[0]
        records = [record for record in read_tasks(path) if record.is_mbpp][:: options.every]
        if not records:
            raise ValueError(f"{path}: holds no task of MBPP+")
        problems = make_problems(records, expected_outputs(path, records, options.slots))
    programs = [program for pair in zip(records, problems, strict=True) for program in make_programs(*pair)]
    start = time.perf_counter()
    judge_by_ours(programs, options.slots)
    middle = time.perf_counter()
    judge_by_evalplus(programs, path, options.slots, python)
    seconds = f"{middle - start:.0f} s ours, {time.perf_counter() - middle:.0f} s EvalPlus"
    print(f"{describe_machine()}, EvalPlus {version}: {seconds}\n\n{count_table(programs).text()}")
    for program, part in disagreements(programs):
        print("\n" + program.describe(part))


def evalplus_version(python: str) -> str:
    """ValueError if it is not installed. Checked first: our own verdicts take minutes."""
    answer = run_script([python, peers.__file__, "time", "evalplus"], [])
    if "missing" in answer:
        raise ValueError(f"--peers-python {python}: has no EvalPlus; pip install -e '.[peers]' there")
    return answer["version"]


def make_programs(record: EvalPlusTask, problem: Problem) -> list[JudgedProgram]:
    """Three programs, the same in every run. A kind without programs is replaced by the next one."""
    draw = random.Random(record.task_id)
    kinds = ("off-by-one constant", "swapped comparison")
    wrong = [program for kind in kinds for program in mutants(record.code, record.entry_point, kind)]
    draw.shuffle(wrong)
    left = {
        "mutant": wrong,
        "other type": [record.code + OTHER_TYPE.format(name=record.entry_point)],
        "returns None": mutants(record.code, record.entry_point, "returns None"),
    }
    programs = [JudgedProgram(problem, "reference", record.code)]
    for asked in ("mutant", tuple(left)[record.number % 3]):
        kind = next(kind for kind in (asked, "other type", "returns None") if left[kind])
        programs.append(JudgedProgram(problem, kind, left[kind].pop()))
    return programs


def judge_by_ours(programs: Sequence[JudgedProgram], slots: int) -> None:
    # Ten seconds: EvalPlus passes right programs that are a hundred times slower than others.
    with Sandbox(slots, program_limits(10.0)) as sandbox:
        outcomes = sandbox.run([make_task(item.problem, item.program) for item in programs])
    for item, outcome in zip(programs, outcomes, strict=True):
        item.ours = outcome


def judge_by_evalplus(programs: Sequence[JudgedProgram], path: Path, processes: int, python: str) -> None:
    tasks: dict[str, list[JudgedProgram]] = {}
    for item in programs:
        tasks.setdefault(str(item.problem.task_id), []).append(item)
    jobs = [{"task_id": task_id, "programs": [item.program for item in items]} for task_id, items in tasks.items()]
    command = [python, "-B", str(Path(__file__).with_name("evalplus_judge.py"))]
    environment = os.environ | {"MBPP_OVERRIDE_PATH": str(path.resolve())}
    answers = run_in_batches(command, jobs, processes, environment)
    for items, verdicts in zip(tasks.values(), answers, strict=True):
        for item, verdict in zip(items, verdicts, strict=True):
            item.evalplus = verdict


def disagreements(judged: Sequence[JudgedProgram]) -> list[tuple[JudgedProgram, str]]:
    """Programs with the part of the inputs on which the two verdicts differ."""
    return [(item, part) for item in judged for part in PARTS if item.passes_ours(part) != item.passes_evalplus(part)]


def count_table(judged: Sequence[JudgedProgram]) -> BenchTable:
    """For each kind of program and part of the inputs: how many pass on both sides, on one, on none."""
    header = ("programs", "inputs", "judged", "agree", "both pass", "both fail", "only ours passes")
    rows = []
    for kind in (*PROGRAM_KINDS, "all"):
        for part in PARTS:
            some = [item for item in judged if kind in (item.kind, "all")]
            pairs = [(item.passes_ours(part), item.passes_evalplus(part)) for item in some]
            both, none = pairs.count((True, True)), pairs.count((False, False))
            counts = (len(pairs), both + none, both, none, pairs.count((True, False)), pairs.count((False, True)))
            rows.append((kind, part, *map(str, counts)))
    return BenchTable("agreement", (*header, "only EvalPlus passes"), rows)
