"""Two evaluations of the same problems: their differences, and what is not comparable."""

import dataclasses
import json

import pytest

from experiments.compare import compare_results, main, read_pair, to_text
from experiments.report.results import ProblemResult, to_lines


def result(task_id, greedy=None, correct=0, samples=0, **fields):
    given = {"split": "test", "tier": "", "base_greedy": None, "base_c": None} | fields
    outcome = {"stages": {"PASSED": 1}, "error_types": {"none": 1}, "mean_length": 3.0, "length_unit": "tokens"}
    return ProblemResult(task_id=task_id, greedy=greedy, n=samples, c=correct, **given, **outcome)


FIRST = [True, True, False, False, False, False, True, False]
SECOND = [True, False, True, True, True, True, True, False]


def write(path, results):
    path.write_text(to_lines(results))
    return path


def test_the_counts_and_differences_by_hand():
    """A and B exchanged, pairs by place where the order differs, agreements counted as evidence, or the wrong tail."""
    before = [result(f"x/{i}", greedy, 1, 4) for i, greedy in enumerate(FIRST)]
    after = [result(f"x/{i}", greedy, i % 5, 4) for i, greedy in enumerate(SECOND)]
    differences, (found,) = compare_results(before, after)
    assert (found.both, found.only_first, found.only_second, found.neither) == (2, 1, 4, 1)
    assert found.p == pytest.approx(2 * (1 + 5) / 32)
    figures = {d.figure: d for d in differences}
    assert list(figures) == ["greedy_pass@1", "pass@1", "pass@2", "pass@4"]
    greedy, sampled, some = figures["greedy_pass@1"], figures["pass@1"], figures["pass@4"]
    assert (greedy.first, greedy.second, greedy.difference) == (3 / 8, 6 / 8, 3 / 8)
    assert (sampled.first, sampled.second) == pytest.approx((1 / 4, (0 + 1 + 2 + 3 + 4 + 0 + 1 + 2) / 32))
    assert (some.first, some.second) == pytest.approx((1.0, 6 / 8))
    assert greedy.low < greedy.difference < greedy.high


def test_files_are_paired_by_problem(tmp_path):
    """Problems of two files that stand in another order compared with each other, line by line."""
    results = [result(i, i < 3, i, 5) for i in range(6)]
    first, second = write(tmp_path / "a", results), write(tmp_path / "b", results[::-1])
    before, after = read_pair(first, second)
    assert before == after == results


def test_only_common_figures_are_compared():
    """pass@16 against pass@4, or greedy answers that are not there counted as wrong."""
    before = [result(i, True, 1, 4) for i in range(3)]
    after = [result(i, None, 1, 2) for i in range(3)]
    differences, discordances = compare_results(before, after)
    assert [d.figure for d in differences] == ["pass@1", "pass@2"]
    assert discordances == []
    with pytest.raises(ValueError, match="greedy answers only"):
        compare_results([result(0, True)], [result(0, None, 1, 2)])


def test_groups_and_base_tests_are_apart():
    """Tiers mixed, or figures on the base tests made of the verdicts on all tests."""
    base = [
        result(0, False, 0, 2, tier="hard", base_greedy=True, base_c=1),
        result(1, True, 2, 2, tier="easy", base_greedy=True, base_c=2),
    ]
    other = [dataclasses.replace(base[0], greedy=True, c=1), base[1]]
    differences, discordances = compare_results(base, other, [1])
    values = {(d.group, d.figure): (d.first, d.second) for d in differences}
    assert values["all/hard", "greedy_pass@1"] == (0.0, 1.0)
    assert values["all/hard", "base/greedy_pass@1"] == (1.0, 1.0)
    assert values["all/hard", "base/pass@1"] == (0.5, 0.5)
    assert values["all/easy", "pass@1"] == (1.0, 1.0)
    assert values["all", "pass@1"] == (0.5, 0.75)
    counts = {(d.group, d.figure): (d.both, d.only_first, d.only_second, d.neither) for d in discordances}
    assert counts["all", "greedy_pass@1"] == (1, 0, 1, 0)
    assert counts["all", "base/greedy_pass@1"] == (2, 0, 0, 0)


def test_the_command_prints_aligned_tables_and_writes_json(tmp_path, capsys):
    """Columns that are out of line, or files read the other way round."""
    first = write(tmp_path / "a", [result(i, greedy) for i, greedy in enumerate(FIRST)])
    second = write(tmp_path / "b", [result(i, greedy) for i, greedy in enumerate(SECOND)])
    assert main([str(first), str(second), "--json", str(tmp_path / "c")]) == 0
    printed = capsys.readouterr().out
    table = printed.split("\n\n")[1].split("\n")
    assert table[2].split()[:6] == ["all", "greedy_pass@1", "37.5", "%", "75.0", "%"]
    assert [table[2].index(cell) for cell in (" 37.5", " 75.0", " +37.5")] == [
        table[0].index(name) for name in ("A", "B ", "B - A")
    ]
    record = json.loads((tmp_path / "c").read_text())
    assert record["differences"][0]["difference"] == 3 / 8
    assert record["mcnemar"][0]["only_second"] == 4
    assert to_text(*compare_results([result(0, True)], [result(0, True)]))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "holds no result"),
        (["x"], ":1: not JSON"),
        (["[]"], ":1: a result is a JSON object"),
        (["{}"], ":1: task_id: missing"),
        ([{"stages": []}], ":1: stages: needs dict, got list"),
        ([{"n": True}], ":1: n: needs int, got bool"),
        ([{"c": 9}], ":1: c: 9"),
        ([{}, {}], ":2: task_id: 0 stands above already"),
        ([{"task_id": 1}], "have no problem in common"),
        ([{}, {"task_id": 1}], "1 problems are in both files, 0 in"),
        ([{"tier": "hard"}], "b: 0 is of another split or tier"),
    ],
)
def test_files_that_cannot_be_compared_are_one_line(tmp_path, capsys, lines, message):
    """A traceback, or the difference of two evaluations on different problems."""
    first = write(tmp_path / "a", [result(0, True)])
    record = json.loads(first.read_text())
    second = tmp_path / "b"
    texts = [line if isinstance(line, str) else json.dumps(record | line) for line in lines]
    second.write_text("".join(text + "\n" for text in texts))
    with pytest.raises(SystemExit) as stopped:
        main([str(first), str(second)])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["only-one"], "required: b"),
        (["a", "b"], "a: no such file"),
        (["a", "b", "--json", "/no/such/directory/file"], "--json /no/such/directory/file: its directory"),
    ],
)
def test_bad_arguments_are_one_line(capsys, arguments, message):
    """A traceback, or figures that are lost after the work."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
