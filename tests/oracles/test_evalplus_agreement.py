"""EvalPlus's own code as the oracle: it and our judge on the same programs for some of MBPP+'s tasks."""

import sys

import pytest

from data.sets.evalplus import make_problems, read_tasks
from experiments.benchmarks import agreement as bench
from experiments.inputs.expected import expected_outputs

# Sets, floats with and without atol, a match, tuples as arguments, complex numbers, a second reading (558, 581).
TASKS = (2, 85, 98, 101, 124, 237, 437, 558, 579, 581, 615, 787)


def test_evalplus_says_the_same(mbppplus_file, tmp_path, monkeypatch):
    """An argument of another type, another expected output, another comparison, or base and plus inputs mixed up."""
    pytest.importorskip("evalplus", reason="install the extra: pip install -e '.[peers]'")
    monkeypatch.setenv("CODELADDER_CACHE", str(tmp_path))
    records = [record for record in read_tasks(mbppplus_file) if record.number in TASKS]
    assert len(records) == len(TASKS)
    problems = make_problems(records, expected_outputs(mbppplus_file, records, slots=1))
    samples = [sample for pair in zip(records, problems, strict=True) for sample in bench.make_samples(*pair)]
    ours = bench.judge_by_ours(samples, 1)
    version, theirs = bench.judge_by_evalplus(samples, mbppplus_file, 1, sys.executable)
    assert version == "0.3.1"
    assert bench.disagreements(samples, ours, theirs) == []
    passing = [verdict["plus"] == "pass" for verdict in theirs]
    assert passing.count(True) >= len(TASKS)
    assert passing.count(False) >= len(TASKS)
