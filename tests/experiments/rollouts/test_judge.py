"""From rollouts to outcomes, findings, rewards and places in tokens, with the real sandbox and the real linters."""

import json
import random

import pytest

from data.problems import Problem
from data.programs import extract_program
from data.sets.registry import load_problems
from experiments.inputs.hub import EMBEDDED
from experiments.inputs.policy import load_weights, open_policy
from experiments.report.run_directory import to_record
from experiments.rollouts.judge import start_judges
from experiments.rollouts.reward import reward_rollouts
from experiments.rollouts.sample import reference_rollouts, sample_rollouts
from rewards.language import parse
from rl.rollout import Rollout

PROBLEM = Problem(7, "", "def f(x):\n    return x + 1\n", ("assert f(1) == 2", "assert f(0) == 1"), "f")
OTHER = Problem(8, "", "def g(x):\n    return x\n", ("assert g(1) == 1",), "g")
GOOD = "def f(x):\n    return x + 1"
WRONG = "def f(x):\n    return x + 2"
FAILS = "import os\ndef f(x):\n    if x > 5:\n        return 0\n    return y"
BROKEN = "def f(x):\n    return ("
FENCED = f"Here:\n```python\n{GOOD}\n```\nprint('no')"


@pytest.fixture(scope="module")
def policy():
    policy = open_policy(EMBEDDED)
    load_weights(policy, "", "cpu", "fp32")
    return policy


@pytest.fixture(scope="module")
def judges():
    with start_judges(2, 1.0, allow_weak=True) as judges:
        yield judges


def make(policy, *texts, problem=PROBLEM):
    """Rollouts of texts, as if they had been sampled, each with its end of sequence."""
    rollouts = []
    for index, text in enumerate(texts):
        ids = policy.tokenizer(text, add_special_tokens=False).input_ids + [policy.eos_ids[0]]
        ranges = policy.decode(ids)[1]
        rollouts.append(
            Rollout(problem.task_id, index, [1], ids, [-1.0] * len(ids), "eos", text, ranges, extract_program(text))
        )
    return rollouts


def judged(judges, rollouts, lines=False):
    with judges.batch([PROBLEM, OTHER], lines) as batch:
        batch.add(rollouts)
        batch.finish()
    return [(rollout.outcome, rollout.analysis) for rollout in rollouts]


def rewarded(policy, judges, text, expression, mode, group=None):
    """The rollouts, one a text, with reward and places filled in."""
    rollouts = make(policy, *(group or [text]))
    judged(judges, rollouts, mode == "executed")
    reward_rollouts(rollouts, [PROBLEM, OTHER], parse(expression), mode, budget=72)
    return rollouts


def pieces(policy, rollout):
    """Each token's text."""
    return [rollout.text[a:b] for a, b in rollout.token_ranges]


def test_in_pieces_as_at_once(policy, judges):
    """An outcome that goes to another rollout because answers ended in another order than they stand in."""
    rollouts = make(policy, GOOD, WRONG, FAILS, GOOD, BROKEN, FENCED, WRONG, "")
    rollouts += make(policy, OTHER.code, GOOD, problem=OTHER)
    whole = judged(judges, rollouts)
    stages = [outcome.stage.name for outcome, _ in whole]
    assert stages == [
        "PASSED",
        "OUTPUT",
        "RUNS",
        "PASSED",
        "SYNTAX_ERROR",
        "PASSED",
        "OUTPUT",
        "RUNS",
        "PASSED",
        "RUNS",
    ]
    order = list(range(len(rollouts)))
    random.Random(0).shuffle(order)
    with judges.batch([PROBLEM, OTHER]) as batch:
        for start in range(0, len(order), 3):
            batch.add([rollouts[i] for i in order[start : start + 3]])
        assert len(batch.places) == 8  # GOOD and its fenced twin are two programs, by their last line
        batch.finish()
    pieces = [(rollout.outcome, rollout.analysis) for rollout in rollouts]
    assert [(o.without_clock(), a) for o, a in pieces] == [(o.without_clock(), a) for o, a in whole]


def test_a_batch_that_is_left_cancels_its_programs(policy, judges):
    """A step that was interrupted, and whose programs hold the slots of the next."""
    loops = make(policy, *(f"def f(x):\n    while x < {n}: x = x % 2" for n in range(3, 15)))

    def interrupted():
        with judges.batch([PROBLEM]) as batch:
            batch.add(loops)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    [(outcome, _)] = judged(judges, make(policy, GOOD))
    assert outcome.stage.name == "PASSED"


def test_what_is_written_down(policy, judges):
    """A record that is no JSON, or that keeps what a program printed."""
    (rollout,) = make(policy, FAILS + "\nprint('secret')")
    judged(judges, [rollout], lines=True)
    record = json.loads(json.dumps(to_record(rollout)))
    assert "secret" not in json.dumps(record["outcome"])
    assert record["outcome"]["tests"] == ["error", "error"]
    assert record["findings"]["rules"] == ["F401:1", "F821:5"]
    assert record["findings"]["style"] == {"error": 1, "bug": 0, "style": 1, "simplify": 0}
    assert record["findings"]["security"] == {"HIGH": 0, "MEDIUM": 0, "LOW": 0}


def test_line_charges_the_tokens_of_the_failing_line(policy, judges):
    """A loss at the tokens of another line, of another size, or one that pays the other tokens."""
    good, failed = rewarded(policy, judges, None, "staged", "line", [GOOD, FAILS])
    assert (good.reward, good.token_rewards) == (1.0, [0.0] * len(good.completion))
    charged = "".join(text for text, value in zip(pieces(policy, failed), failed.token_rewards, strict=True) if value)
    assert charged.strip() == "return y"
    # 0.6 is lacking, of which no more may be charged than it is worse than its group: mean 0.7, reward 0.4
    assert failed.reward == pytest.approx(0.4)
    assert sum(failed.token_rewards) == pytest.approx(-0.3)


def test_findings_are_charged_to_their_tokens(policy, judges):
    """A finding's column taken for a byte, a token or a line."""
    (alone,) = rewarded(policy, judges, FAILS, "style", "line")
    by_token = dict(zip(pieces(policy, alone), alone.token_rewards, strict=True))
    assert by_token["os"] < 0
    assert by_token[" y"] < by_token["os"]  # an undefined name weighs more than an unused import
    assert sum(alone.token_rewards) == pytest.approx(alone.reward - 1)


def test_executed_gives_no_credit_to_what_no_test_reached(policy, judges):
    """A branch that no test took and that is learned from all the same."""
    text = "def f(x):\n    if x > 5:\n        return 0\n    return x + 1"
    (rollout,) = rewarded(policy, judges, text, "binary", "executed")
    without = [t for t, share in zip(pieces(policy, rollout), rollout.token_weights, strict=True) if share == 0]
    assert "".join(without).strip() == "return 0"
    assert rollout.token_weights[-1] == 1.0  # its end of sequence
    assert rollout.token_rewards == []


def test_dense_lays_gains_and_losses(policy, judges):
    """Gains left out, or a sum over tokens that is not the reward."""
    for expression in ("dense", "dense-sum"):
        for text in (GOOD, FAILS, BROKEN, FENCED, WRONG):
            (rollout,) = rewarded(policy, judges, text, expression, "dense")
            assert sum(rollout.token_rewards) == pytest.approx(rollout.reward), (expression, text)
    (rollout,) = rewarded(policy, judges, FENCED, "dense", "dense")
    inside = "".join(t for t, value in zip(pieces(policy, rollout), rollout.token_rewards, strict=True) if value)
    assert inside.strip() == FENCED[FENCED.index("```") : FENCED.rindex("```") + 3]


def test_uniform_locates_nothing(policy, judges):
    """A default that moves advantage between tokens: every earlier run would be another."""
    (rollout,) = rewarded(policy, judges, FAILS, "securecode", "uniform")
    assert (rollout.token_rewards, rollout.token_weights) == ([], [])


def test_answers_are_handed_on_as_they_end(policy):
    """An answer that is handed on twice, never, or differs from the one that is returned."""
    handed = []
    problems = load_problems("embedded", "train")[:5]
    shared = {"seed": 3, "step": 1, "group_size": 4, "max_new_tokens": 48, "temperature": 1.0}
    rollouts = sample_rollouts(policy, problems, on_rollouts=handed.append, **shared)
    assert len(handed) > 3
    assert sorted(map(id, sum(handed, []))) == sorted(map(id, rollouts))
    assert [(r.prompt_id, r.sample) for r in rollouts] == [(p.task_id, g) for p in problems for g in range(4)]
    ended = [max(len(r.completion) for r in some) for some in handed]
    assert ended == sorted(ended)  # the short ones first
    assert sample_rollouts(policy, problems, **shared) == rollouts
    for rollout in rollouts:
        assert rollout.text == policy.tokenizer.decode(rollout.completion, skip_special_tokens=True)


@pytest.mark.parametrize(("solutions", "names"), [("code", "c"), ("unsafe", "u"), ("both", "cu")])
def test_solutions_that_sft_learns(policy, solutions, names):
    """An unsafe solution that stands in for the safe one, or both as one group of the same text."""
    problems = load_problems("security", "train")[:3]
    rollouts = reference_rollouts(policy, problems, solutions)
    expected = [{"c": p.code, "u": p.unsafe}[name].rstrip() for p in problems for name in names]
    assert [rollout.text for rollout in rollouts] == expected
    assert all(policy.decode(r.completion)[0] == r.text and r.completion[-1] in policy.eos_ids for r in rollouts)
