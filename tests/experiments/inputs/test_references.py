"""References that fail their own tests: found, told, left out; what has passed not run again; slow ones given room."""

import dataclasses

import pytest

from data.problems import Problem
from experiments.inputs import references as verify
from sandbox import Limits, Sandbox

RIGHT = Problem(1, "", "def f(x):\n    return x\n", ("assert f(1) == 1", "assert f(2) == 2"), "f")
WRONG = dataclasses.replace(RIGHT, task_id="w", test_list=("assert f(1) == 1", "assert f(2) ==\\\n 3"))
RAISES = dataclasses.replace(RIGHT, task_id="r", code="def f(x):\n    y = x\n    return y.z\n")
ABSENT = dataclasses.replace(RIGHT, task_id="m", code="import absent\ndef f(x):\n    return x\n")
HANGS = dataclasses.replace(RIGHT, task_id="h", code="def f(x):\n    while x > 1: pass\n    return x\n")
SILENT = Problem("s", "", "", ("assert f(1) == 5",), "f")  # has no reference
CASES = Problem("c", "", "print(input())\n", cases=(("1\n", "1\n"), ("2\n", "3\n")))
CHECK = Problem("k", "", "def f(x):\n    return x\n", check="def check(c):\n    assert c(1) == 2\n", entry_point="f")


@pytest.fixture(scope="module")
def judge():
    limits = Limits(test_cpu_seconds=0.3, program_cpu_seconds=0.3)
    with Sandbox(1, limits) as judge:
        yield judge


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CODELADDER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def check(judge):
    """check_references in one sandbox for all; `asked` counts how often a sandbox was asked for."""

    class Lent:
        def __enter__(self):
            return judge

        def __exit__(self, *exception):
            pass

    def check(problems, cpu_seconds=1.0, skip_broken=False):
        def start(limits):
            check.asked += 1
            return Lent()

        return verify.check_references(problems, start, cpu_seconds=cpu_seconds, skip_broken=skip_broken)

    check.asked = 0
    return check


def test_what_failed_is_named_with_its_test(judge):
    """A broken reference passed over, a right one accused, or the wrong test named (a number from 0)."""
    broken, seconds = verify.verify([RIGHT, WRONG, RAISES, ABSENT, HANGS, CASES, CHECK], judge)
    told = {one.task_id: (one.test, one.what) for one in broken}
    hangs = told.pop("h")
    assert hangs[0] == "test 2 (assert f(2) == 2)"
    assert hangs[1].startswith("out of time (cpu), after 0.")
    assert told == {
        "w": ("test 2 (assert f(2) ==\\ 3)", "got 2"),
        "r": ("test 1 (assert f(1) == 1)", "AttributeError in line 3"),
        "m": ("test 1 (assert f(1) == 1)", "ModuleNotFoundError in line 1"),
        "c": ("test 2 (stdin '2\\n')", "got '2\\n'"),
        "k": ("test 1 (check(f))", "got 1"),
    }
    assert seconds.keys() == {1}


def test_the_first_broken_problem_is_an_error_of_one_line(check):
    """A run on problems that nobody can solve, or a screen full of them."""
    with pytest.raises(ValueError, match="^[^\n]*$") as refused:
        check([RIGHT, WRONG, SILENT, RAISES])
    assert str(refused.value).startswith("problem w: its own reference fails test 2 (assert f(2) ==\\ 3): got 2 (and 1")


def test_skip_broken_leaves_out_those_and_no_others(check, capsys, monkeypatch):
    """A problem without a reference left out with the broken ones, or broken ones left out without a word."""
    monkeypatch.setattr(verify, "SHOWN", 1)
    assert check([RIGHT, WRONG, SILENT, RAISES], skip_broken=True) == [RIGHT, SILENT]
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("left out")]
    assert len(lines) == 2
    assert "problem w:" in lines[0]
    assert "1 more" in lines[1]
    with pytest.raises(ValueError, match="no problem is left"):
        check([WRONG], skip_broken=True)


def test_what_has_passed_is_not_run_again_and_what_failed_is(check, judge, monkeypatch):
    """A pass remembered for another test, limit or reference; or a failure, which was perhaps the machine's."""
    problems = [RIGHT, SILENT, WRONG]
    check(problems, skip_broken=True)
    ran = []
    monkeypatch.setattr(verify, "verify", lambda problems, judge: ran.append(problems) or ([], {"w": 0.1}))
    assert check(problems) == problems
    assert ran == [[WRONG]]
    asked = check.asked
    assert check(problems) == problems  # that it passes now is remembered
    assert check.asked == asked  # and no sandbox is started
    for change in ({"test_list": ("assert f(1) == 2",)}, {"code": "def f(x): pass\n"}, {"cpu_seconds": 2.0}):
        check([dataclasses.replace(RIGHT, **change), SILENT, WRONG])
        assert len(ran.pop()) == 2
    check(problems, cpu_seconds=2 * verify.LONGEST)  # another limit
    assert len(ran.pop()) == 2


def test_one_and_its_text_are_two_problems(check):
    """A broken problem "1" that counts as passed from the second run on, as problem 1 has passed."""
    problems = [RIGHT, dataclasses.replace(WRONG, task_id="1")]
    for _ in range(2):  # fresh, and remembered
        assert check(problems, skip_broken=True) == [RIGHT]


def test_a_slow_reference_gives_its_problem_more_time(check, monkeypatch):
    """The time of a quick problem for one whose reference alone takes longer: nobody could ever solve it. Or more time
    for all, so that every loop is expensive; or a limit that the set itself has given, overruled."""
    quick, slow, given = (dataclasses.replace(RIGHT, task_id=name) for name in ("quick", "slow", "given"))
    given = dataclasses.replace(given, cpu_seconds=3.0)
    times = {"quick": 0.2, "slow": 0.6, "given": 5.0}
    monkeypatch.setattr(verify, "verify", lambda problems, judge: ([], dict(times)))
    for _ in range(2):  # fresh, and remembered
        assert check([quick, slow, given]) == [quick, dataclasses.replace(slow, cpu_seconds=2.4), given]
    usual = dataclasses.replace(given, cpu_seconds=0.0)
    assert check([quick, slow, given], cpu_seconds=9.0) == [quick, slow, usual]  # never less than the others have


def test_a_damaged_memory_is_told_and_not_trusted(check, cache, capsys):
    """A cut-off file that ends every later run with a traceback, or passes for a pass."""
    check([RIGHT])
    (file,) = (cache / "verified").iterdir()
    for text in ("", "[1]", '{"1": null}', '{"1": 0'):
        file.write_text(text)
        asked = check.asked
        check([RIGHT])
        assert check.asked == asked + 1
        assert "damaged" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_stops_nothing(check, cache, capsys):
    """A run that fails because its home directory is read-only."""
    cache.write_text("a file where the directory should be")
    assert check([RIGHT]) == [RIGHT]
    assert "not remembered" in capsys.readouterr().err
