"""Rewards judged rollouts: total, components, and how the reward falls on tokens."""

from collections.abc import Sequence

from data.problems import Problem
from rewards.answer import Answer
from rewards.executed_lines import unexecuted
from rewards.expression import Expression, evaluate
from rl import credit
from rl.rollout import Rollout

CREDITS = ("uniform", "line", "executed", "dense")


# station 7: reward
def reward_rollouts(
    rollouts: Sequence[Rollout],
    problems: Sequence[Problem],
    expression: Expression,
    mode: str,
    budget: int,
) -> None:
    """Sets reward, components, spans and token credit of rollouts that stand prompt by prompt; in place.

    mode     how the reward falls on tokens, one of CREDITS:
             uniform   no token gets more than another
             line      losses go to the tokens of their places: a finding, a failing line, a syntax error
             executed  tokens of lines that no test executed get no credit
             dense     losses and gains go to the tokens of their places
    budget   most tokens that a completion may have
    """
    by_id = {problem.task_id: problem for problem in problems}
    peers: dict[int | str, list] = {}
    for rollout in rollouts:
        peers.setdefault(rollout.prompt_id, []).append(rollout.outcome)
    for rollout in rollouts:
        answer = make_answer(rollout, by_id[rollout.prompt_id], tuple(peers[rollout.prompt_id]), budget)
        found = evaluate(expression, answer)
        rollout.reward, rollout.spans = found.value.value, found.value.spans
        rollout.components = {name: value.value for name, value in found.components.items()}
        if mode == "executed":
            rollout.token_weights = credit.mask_tokens(unexecuted(answer), rollout.token_ranges, len(rollout.text))
        elif mode != "uniform" and rollout.completion:
            placed = [(s.start, s.end, s.value) for s in rollout.spans if mode == "dense" or s.value < 0]
            rollout.token_rewards = credit.spread_spans(placed, rollout.token_ranges)
    if mode == "line":
        credit.limit_charges(rollouts)


def make_answer(rollout: Rollout, problem: Problem, peers: tuple, budget: int) -> Answer:
    """A judged rollout in the form that reward components read. `peers`: the outcomes of its whole group."""
    start, end, fenced = rollout.program
    return Answer(
        text=rollout.text,
        program=(start, end),
        outcome=rollout.outcome,
        fenced=fenced,
        entry_point=problem.entry_point,
        reference=problem.code,
        analysis=rollout.analysis,
        peers=peers,
        tokens=len(rollout.completion),
        budget=budget,
        token_starts=tuple(first for first, _ in rollout.token_ranges),
        prefix=rollout.prefix,
    )
