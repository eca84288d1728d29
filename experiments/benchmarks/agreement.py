"""Whether our judge and EvalPlus's say the same of the same programs: MBPP+, three programs for each task.

    python experiments/bench.py agreement --data MbppPlus.jsonl    that file
    python experiments/bench.py agreement                          what `fetch.py mbppplus` has fetched

The programs: the canonical solution; a mutant of it (mutants.py: a constant that is one higher, or a comparison the
other way round; one place, drawn at random); and by turns another such mutant, a function that returns None, or the
right answer as another type (a list for a tuple, a float for an integer, and the other way round).

EvalPlus (release 0.3.1, extra `peers`; in another environment: --peers-python) decides by its own functions and its own
limits in a process of its own (evalplus_judge.py). Both say passed or not for the benchmark's own inputs (base) and for
EvalPlus's (plus). Each disagreement is listed with what our judge saw; docs/evaluation.md says who is right and why.
"""

import json
import os
import random
import shutil
import subprocess  # nosec B404: evalplus_judge.py
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from experiments import threads  # noqa: F401 - first: it must come before torch

# isort: split
from data.problems import Problem
from data.sets.evalplus import EvalPlusTask, make_problems, read_tasks
from data.sets.registry import find
from experiments.benchmarks.mutants import mutants
from experiments.benchmarks.sandbox import machine
from experiments.inputs.expected import expected_outputs
from experiments.inputs.tasks import make_task, program_limits
from experiments.options import bad_input_is_one_line, check_at_least, option, parse
from experiments.report.tables import align
from sandbox import Outcome, Sandbox, Stage

PROGRAM_NAME = "bench.py agreement"
PARTS = ("base", "plus")
KINDS = ("reference", "mutant", "other type", "returns None")
MUTATIONS = ("off-by-one constant", "swapped comparison")
# Wider than training's second: of two programs that are right, EvalPlus lets a hundred times slower one pass.
LIMITS = program_limits(10.0)
BATCH = 20  # tasks that one process of evalplus_judge.py is given

# Appended to a solution: its answers, each as another type.
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
    data: str = option("", "MbppPlus.jsonl; else what fetch.py has fetched")
    slots: int = option(2, "slots of the sandbox, and processes of EvalPlus")
    every: int = option(1, "take every Nth task only")
    peers_python: str = option(sys.executable, "Python of the environment that EvalPlus is installed in")
    json: bool = option(False, "print one JSON object")


@dataclass(frozen=True)
class Sample:
    """A program for a task."""

    problem: Problem
    kind: str
    program: str


@dataclass(frozen=True)
class Disagreement:
    """A sample, the part of the inputs, which of the two judges passes it, and what ours saw first of all failures."""

    sample: Sample
    part: str
    passes: str
    evalplus: str
    ours: str


def main(arguments: list[str] | None = None) -> None:
    options = parse(AgreementBenchOptions, arguments, PROGRAM_NAME, __doc__.splitlines()[0])
    with bad_input_is_one_line(PROGRAM_NAME):
        check_at_least(options, 1, "slots", "every")
        check_evalplus(options.peers_python)
        path = Path(options.data) if options.data else find("mbppplus")[0]
        records = [record for record in read_tasks(path) if record.is_mbpp][:: options.every]
        if not records:
            raise ValueError(f"{path}: holds no task of MBPP+")
        problems = make_problems(records, expected_outputs(path, records, options.slots))
    samples = [sample for pair in zip(records, problems, strict=True) for sample in make_samples(*pair)]
    start = time.perf_counter()
    ours = judge_by_ours(samples, options.slots)
    middle = time.perf_counter()
    version, theirs = judge_by_evalplus(samples, path, options.slots, options.peers_python)
    seconds = {"ours": middle - start, "evalplus": time.perf_counter() - middle}
    found = disagreements(samples, ours, theirs)
    rows = counts(samples, ours, theirs)
    if options.json:
        listed = [plain(one) for one in found]
        print(json.dumps({"counts": rows, "disagreements": listed, "seconds": seconds} | asdict(options)))
        return
    print(f"{machine()}, EvalPlus {version}: {seconds['ours']:.0f} s ours, {seconds['evalplus']:.0f} s EvalPlus\n")
    print(align(list(rows[0]), [[str(cell) for cell in row.values()] for row in rows]))
    for one in found:
        print("\n" + as_text(one))


def check_evalplus(python: str) -> None:
    """ValueError where it is not installed: better told before the minutes that our own judge takes."""
    if shutil.which(python) is None:
        raise ValueError(f"--peers-python {python}: no such program")
    imported = subprocess.run([python, "-c", "import evalplus.data, evalplus.eval"], capture_output=True)  # nosec B603: fixed
    if imported.returncode != 0:
        raise ValueError(f"--peers-python {python}: has no EvalPlus; pip install -e '.[peers]' there")


# Samples --------------------------------------------------------------------------------------------------------


def make_samples(record: EvalPlusTask, problem: Problem) -> list[Sample]:
    """Three programs, the same in every run. Where a kind has no program left, one of the next kind stands in."""
    draw = random.Random(record.task_id)  # nosec B311: no secret
    wrong = [program for kind in MUTATIONS for program in mutants(record.code, record.entry_point, kind)]
    draw.shuffle(wrong)
    left = {
        "mutant": wrong,
        "other type": [record.code + OTHER_TYPE.format(name=record.entry_point)],
        "returns None": mutants(record.code, record.entry_point, "returns None"),
    }
    samples = [Sample(problem, "reference", record.code)]
    for asked in ("mutant", tuple(left)[record.number % 3]):
        kind = next(kind for kind in (asked, "other type", "returns None") if left[kind])
        samples.append(Sample(problem, kind, left[kind].pop()))
    return samples


# Judging --------------------------------------------------------------------------------------------------------


def judge_by_ours(samples: Sequence[Sample], slots: int) -> list[Outcome]:
    with Sandbox(slots, LIMITS) as judge:
        return judge.run([make_task(sample.problem, sample.program) for sample in samples])


def has_passed(sample: Sample, outcome: Outcome, part: str) -> bool:
    """Whether our judge passes a program on one part of the inputs; where that is empty, if its body runs at all."""
    words = {test.word for test in tests_of(sample, outcome, part)}
    return words <= {"passed"} and outcome.stage > Stage.PARSES


def tests_of(sample: Sample, items: Outcome | Sequence, part: str) -> Sequence:
    items = items.tests if isinstance(items, Outcome) else items
    base = sample.problem.base_tests
    return items[:base] if part == "base" else items[base:]


def judge_by_evalplus(samples: Sequence[Sample], path: Path, processes: int, python: str) -> tuple[str, list[dict]]:
    """(EvalPlus's version, a verdict for each sample). Samples of one task stand together. RuntimeError if it fails."""
    tasks: dict[str, list[str]] = {}
    for sample in samples:
        tasks.setdefault(str(sample.problem.task_id), []).append(sample.program)
    names = list(tasks)
    batches = [names[start : start + BATCH] for start in range(0, len(names), BATCH)]
    jobs = [{"tasks": {name: tasks[name] for name in batch}} for batch in batches]
    with ThreadPoolExecutor(processes) as pool:
        answers = list(pool.map(lambda job: run_evalplus_judge(job, path, python), jobs))
    return answers[0][0]["version"], [verdict for _, *verdicts in answers for verdict in verdicts]


def run_evalplus_judge(job: dict, path: Path, python: str) -> list[dict]:
    """One process of evalplus_judge.py, with a cache and a directory of its own that are removed afterwards."""
    script = Path(__file__).with_name("evalplus_judge.py").resolve()
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(  # nosec B603: our own script
            [python, "-B", str(script)],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            cwd=directory,
            env=os.environ | {"MBPP_OVERRIDE_PATH": str(path.resolve()), "XDG_CACHE_HOME": directory},
        )
    if done.returncode != 0:
        raise RuntimeError(f"evalplus_judge.py ended with {done.returncode}: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


# Comparing ------------------------------------------------------------------------------------------------------


def disagreements(samples: Sequence[Sample], ours: Sequence[Outcome], theirs: Sequence[dict]) -> list[Disagreement]:
    found = []
    for sample, outcome, verdict in zip(samples, ours, theirs, strict=True):
        for part in PARTS:
            passed = has_passed(sample, outcome, part)
            if passed != (verdict[part] == "pass"):
                status = f"{verdict[part]}, run on {verdict[f'{part}_done']} inputs"
                passes = "ours" if passed else "EvalPlus"
                found.append(Disagreement(sample, part, passes, status, what_ours_saw(sample, outcome, part)))
    return found


def what_ours_saw(sample: Sample, outcome: Outcome, part: str) -> str:
    """The first test of the part that was not passed, and what happened in it."""
    tests, verdicts = tests_of(sample, sample.problem.test_list, part), tests_of(sample, outcome, part)
    for test, verdict in zip(tests, verdicts, strict=True):
        if verdict.word != "passed":
            return f"{test[:300]}: {verdict.word} {verdict.error_type}, value {verdict.value}"
    return "every test passes"


def counts(samples: Sequence[Sample], ours: Sequence[Outcome], theirs: Sequence[dict]) -> list[dict]:
    """Rows of the table: for each kind of sample and part, how many pass with both, with one, with none."""
    rows = []
    for kind in (*KINDS, "all"):
        for part in PARTS:
            pairs = [
                (has_passed(sample, outcome, part), verdict[part] == "pass")
                for sample, outcome, verdict in zip(samples, ours, theirs, strict=True)
                if kind in (sample.kind, "all")
            ]
            rows.append(
                {
                    "programs": kind,
                    "inputs": part,
                    "judged": len(pairs),
                    "agree": sum(one == other for one, other in pairs),
                    "both pass": pairs.count((True, True)),
                    "both fail": pairs.count((False, False)),
                    "only ours passes": pairs.count((True, False)),
                    "only EvalPlus passes": pairs.count((False, True)),
                }
            )
    return rows


def plain(one: Disagreement) -> dict:
    sample = one.sample
    facts = {"task_id": sample.problem.task_id, "kind": sample.kind, "program": sample.program}
    return facts | {"part": one.part, "passes": one.passes, "evalplus": one.evalplus, "ours": one.ours}


def as_text(one: Disagreement) -> str:
    head = f"{one.sample.problem.task_id}, {one.sample.kind}, {one.part}: only {one.passes} passes it"
    return f"{head}\n  EvalPlus: {one.evalplus}\n  ours: {one.ours}\n{one.sample.program}"


if __name__ == "__main__":
    sys.exit(main())
