"""The benchmark of the rewards: what it measures, and that its figures are those of its measurements."""

import re

import pytest

from data.sets.registry import load_problems
from experiments import bench
from experiments.benchmarks import rewards as bench_rewards


def test_a_small_run_says_what_each_way_costs(capsys):
    """A benchmark that has drifted from the services, or that times a way which does nothing."""
    arguments = "--completions 3 --repeats 1 --naive 1 --slots 1 --steps 1"
    bench.main(["rewards", *arguments.split()])
    text = capsys.readouterr().out
    rows = [line.split() for line in text.splitlines()]
    milliseconds = {row[0]: float(row[1]) for row in rows if row and row[0] in ("tests", "analysis", "both", "naive")}
    assert len(milliseconds) == 4
    assert all(value > 0 for value in milliseconds.values())
    steps = re.search(r"a training step: (\S+) s, without rewards (\S+) s", text)
    assert all(float(seconds) > 0 for seconds in steps.groups())
    assert "3 completions, 1 rounds; naive: 1" in text


def test_medians_and_ratios():
    """A mean in place of a median, seconds in place of milliseconds, or a ratio upside down."""
    seconds = {"tests": [1.0], "analysis": [0.001, 0.009, 0.002], "both": [0.004], "naive": [0.1, 0.2, 0.9]}
    table = bench_rewards.cost_table(seconds, bench_rewards.RewardsBenchOptions())
    assert table.rows == [
        ("tests", "1000.00", "1000.00", ""),
        ("analysis", "2.00", "9.00", "100x"),
        ("both", "4.00", "4.00", "50x"),
        ("naive", "200.00", "900.00", ""),
    ]


def test_tasks_differ():
    """Equal programs, of which our services look at the first only, or problems of one kind only."""
    problems = load_problems("embedded", "valid")
    for count in (4, 2 * len(problems)):
        tasks = bench_rewards.reference_tasks(problems, count)
        assert len({task.program for task in tasks}) == count
    assert {task.entry_point for task in tasks} == {problem.entry_point for problem in problems}


def test_the_naive_way_finds_something():
    """Command lines that fail at once, which is quick."""
    style, security = bench_rewards.analyse_naively("import os\nos.system(x)\nexec(y)  # noqa  # nosec\n")
    assert [row["code"] for row in style] == ["F821", "F821"]
    assert {row["test_id"] for row in security} == {"B605", "B102"}


def test_a_wrong_file_is_one_line(capsys):
    """A traceback in place of the name of what is missing."""
    with pytest.raises(SystemExit):
        bench.main(["rewards", "--data", "/no/such/file"])
    assert capsys.readouterr().err.count("\n") == 1
