"""What one task may ask for itself: more or less time than others, and the values that its program returns."""

import math
import os

import pytest

from sandbox import Limits, Sandbox, Stage, Task, read_value
from sandbox.outcome import limits_of
from sandbox.pool import _Keeper

NARROW = Limits(
    test_cpu_seconds=0.1,
    test_wall_seconds=0.25,
    program_cpu_seconds=0.2,
    program_wall_seconds=0.5,
    reply_bytes=1000,
)
BURN = (
    "import time\ndef f(seconds):\n    end = time.process_time() + seconds\n    while time.process_time() < end: pass\n"
)
SLEEP = "import time\ndef f(seconds):\n    time.sleep(seconds)\n"


@pytest.fixture(scope="module")
def judge():
    with Sandbox(slots=1, limits=NARROW) as judge:
        yield judge


def run(judge, program, *tests, **fields):
    return judge.run([Task(program, tests, "f", **fields)])[0]


def values(judge, program, *tests):
    return [test.returned for test in run(judge, program, *tests, want_values=True, cpu_seconds=1.0).tests]


def test_limits_of_a_task():
    """A limit that stays behind when the others grow, so that a slow reference runs out of that one; or one of the
    judge's own that grows with them."""
    limits = Limits(
        test_cpu_seconds=2.0, test_wall_seconds=5.0, program_cpu_seconds=8.0, program_wall_seconds=20.0, threads=3
    )
    assert limits_of(Task("x", ("f()",)), limits) is limits
    found = limits_of(Task("x", ("f()",), cpu_seconds=3.0), limits)
    assert (found.test_cpu_seconds, found.test_wall_seconds) == (3.0, 7.5)
    assert (found.program_cpu_seconds, found.program_wall_seconds) == (12.0, 30.0)
    assert (found.judge_cpu_seconds, found.threads) == (1.0, 3)


@pytest.mark.parametrize(("program", "seconds"), [(BURN, 0.15), (SLEEP, 0.3)], ids=["cpu", "wall"])
def test_more_time(judge, program, seconds):
    """A task whose own time does not reach the clock of CPU time, or that of elapsed time."""
    tests = (f"f({seconds})", "f(0)")
    assert [test.word for test in run(judge, program, *tests).tests] == ["timeout", "passed"]
    assert run(judge, program, *tests, cpu_seconds=5.0).stage == Stage.PASSED


def test_more_time_than_the_kernel_gave_before(judge):
    """A child that the kernel kills at the judge's own limit, which is not the task's."""
    outcome = run(judge, BURN, "f(2.1)", cpu_seconds=10.0)
    assert (outcome.stage, outcome.signal) == (Stage.PASSED, None)


def test_less_time():
    """Time of a task that can only be more than that of others."""
    with Sandbox(slots=1) as judge:
        assert run(judge, BURN, "f(0.5)", cpu_seconds=0.05).tests[0].word == "timeout"


def test_the_pool_waits_as_long():
    """A slot that is killed for being stuck while its task still has time."""
    keeper = _Keeper(Limits(program_wall_seconds=20.0), [])
    try:
        assert keeper._deadline(Task("x", ("f()",), cpu_seconds=100.0)) > 2000.0 > keeper._deadline(Task("x", ("f()",)))
    finally:
        os.close(keeper.wake_reader)
        os.close(keeper.wake_writer)


def test_too_much_time_is_refused():
    """A limit beyond all sense that ends the judge, for everybody's tasks, instead of being told to the caller."""
    with Sandbox(slots=1) as wide:
        with pytest.raises(ValueError, match=r"Limits\.test_wall_seconds must be .* not 7200"):
            wide.run([Task("x", ("f()",), cpu_seconds=3600.0)])
        assert run(wide, "def f(): return 1\n", "assert f() == 1").stage == Stage.PASSED


def test_values_come_back_as_they_were(judge):
    """A value of another type or another bit: a tuple as a list, an int as a float, a key as a string, -0.0 as 0.0."""
    sources = [
        "None", "True", "-7", "2**70", "0.1 + 0.2", "-0.0", "1e300", "(1+2j)", "'a\\ud800\\n'", "b'\\x00'",
        "[1, (2,), {3: [4]}]", "()", "{1.5, 'x'}", "frozenset([1])", "{1: 'one', (2, 3): None, False: {}}",
    ]  # fmt: skip
    program = f"values = [{', '.join(sources)}]\ndef f(number):\n    return values[number]\n"
    found = [read_value(text) for text in values(judge, program, *(f"f({n})" for n in range(len(sources))))]
    for value, source in zip(found, sources, strict=True):
        assert repr(value) == repr(eval(source))
    odd = values(judge, "def f(x):\n    return [float(x), -float(x)]\n", "f('nan')", "f('inf')")
    (nan, minus), infinities = map(read_value, odd)
    assert math.isnan(nan)
    assert math.isnan(minus)
    assert infinities == [math.inf, -math.inf]


def test_values_are_of_the_last_call(judge):
    """The value of an earlier call or test, or one that was never returned, taken for this test's."""
    program = "def f(x):\n    return 10 // x\n"
    tests = ("f(5)", "f(0)", "f(1) + f(2)", "pass")
    assert values(judge, program, *tests) == ["2", None, "5", None]
    assert [test.returned for test in run(judge, program, "assert f(5) == 3").tests] == [None]
    assert values(judge, program, "assert f(5) == 3") == ["2"]


def test_values_that_do_not_travel(judge):
    """An object of the program's own that becomes a value, or a reply above the limit that becomes a short one."""
    (text,) = values(judge, "class Own: pass\ndef f():\n    return [Own()]\n", "f()")
    with pytest.raises(ValueError, match="an object of the program's own"):
        read_value(text)
    outcome = run(judge, "def f(n):\n    return 'x' * n\n", "f(2000)", "f(1)", want_values=True)
    assert [(test.error_type, test.returned) for test in outcome.tests] == [("ReplyTooLarge", None), (None, '"x"')]


@pytest.mark.parametrize("text", ["", "[1", '{"odd": 1}', '{"int": 5}', "1 2"])
def test_no_value(text):
    """A damaged text that is read as some value."""
    with pytest.raises(ValueError, match="not a value|unknown tag|was expected"):
        read_value(text)
