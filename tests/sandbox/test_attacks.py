"""The whole corpus of tests/attacks, each attack followed by an honest program in the same slot."""

import glob
import os
import threading
from pathlib import Path

import pytest

from experiments.benchmarks.attacks import TRACES, attack_task, load_attacks, misjudged
from sandbox import Limits, Sandbox, Stage, Task

ATTACKS = load_attacks(Path(__file__).parents[1] / "attacks")
LIMITS = Limits(
    test_cpu_seconds=0.25,
    test_wall_seconds=1.0,
    program_cpu_seconds=0.5,
    program_wall_seconds=2.0,
    judge_cpu_seconds=0.5,
)
AT_ONCE = 6  # more than there may be cores: some attacks only sleep, and of the others CPU time is limited


def honest(index):
    """A correct program, another one each time, so that none is answered from another's result."""
    return Task(f"def f(x):\n    return x + {index}\n", tests=(f"assert f(2) == {index + 2}",))


@pytest.fixture(scope="module")
def verdicts():
    """Name: (outcome of the attack, of the honest program after it, processes of the slot, judge before and after)."""
    found, waiting = {}, iter(list(enumerate(ATTACKS)))
    cores = sorted(os.sched_getaffinity(0)) * AT_ONCE
    threads = [threading.Thread(target=run_attacks, args=(waiting, core, found)) for core in cores[:AT_ONCE]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def run_attacks(waiting, core, found):
    """One after the other in one slot, until none waits. The slot stays on the core of this thread."""
    os.sched_setaffinity(0, {core})
    with Sandbox(slots=1, limits=LIMITS) as judge:
        slot = judge._keeper.slots[0]
        for index, attack in waiting:  # shared: each thread takes the next
            [outcome] = judge.run([attack_task(attack.program, attack.mode)])
            [after] = judge.run([honest(index)])
            found[attack.name] = outcome, after, descendants(slot.process.pid)


def descendants(pid):
    """The judge's zygote, outside and inside its namespace, and nothing else: a list of how many each has."""
    counts = []
    while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        counts.append(len(children))
        pid = children[0]
    return counts


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack(attack, verdicts):
    """Bug: an attack is paid for what it has not done, breaks its slot for the next program, or leaves a process."""
    outcome, after, processes = verdicts[attack.name]
    assert misjudged(attack, outcome.stage, outcome.passed) is None
    assert after.stage == Stage.PASSED
    assert processes == [1, 1]


def test_no_file_outside(verdicts):
    """Bug: a program has written to the machine's file system."""
    assert len(verdicts) == len(ATTACKS)
    assert glob.glob(TRACES) == []


def test_corpus():
    """Bug: the corpus has shrunk below what the project promises, or lost the controls that show its scoring works."""
    families = [attack.family for attack in ATTACKS]
    assert len(ATTACKS) - families.count("control") >= 60
    assert {attack.earns_stage for attack in ATTACKS if attack.family == "control"} >= {Stage.PASSED, Stage.PARTIAL}
