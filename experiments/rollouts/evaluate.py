"""Evaluation: greedy and sampled rollouts for a set of problems, judged, without rewards."""

from collections.abc import Callable, Sequence

from data.problems import Problem
from experiments.inputs.policy import Policy
from experiments.rollouts.judge import Judges
from experiments.rollouts.sample import sample_rollouts
from rl.rollout import Rollout

EVAL_STEP = -1  # the step of an evaluation's random draws: training steps count from 0
CHUNK = 32  # problems sampled and judged at a time, so that the progress bar moves


def evaluate(
    policy: Policy,
    problems: Sequence[Problem],
    judges: Judges,
    *,
    samples: int,
    seed: int,
    max_new_tokens: int,
    temperature: float = 1.0,
    progress: Callable[[int], object] = lambda done: None,
) -> tuple[list[Rollout], list[Rollout]]:
    """Greedy rollouts (one a problem) and sampled ones (`samples` a problem), judged. `progress` counts problems."""
    greedy, sampled = [], []
    shared = {"seed": seed, "step": EVAL_STEP, "max_new_tokens": max_new_tokens}
    for start in range(0, len(problems), CHUNK):
        chunk = problems[start : start + CHUNK]
        with judges.batch(chunk) as batch:
            shared["on_rollouts"] = batch.add
            greedy += sample_rollouts(policy, chunk, group_size=1, temperature=0.0, **shared)
            if samples:
                sampled += sample_rollouts(policy, chunk, group_size=samples, temperature=temperature, **shared)
            batch.finish()
        progress(len(chunk))
    return greedy, sampled


def judge_samples(
    problems: Sequence[Problem],
    samples: Sequence[Rollout],
    judges: Judges,
    progress: Callable[[int], object] = lambda done: None,
) -> None:
    """Judges rollouts that exist already, a chunk of problems at a time."""
    waiting: dict[int | str, list[Rollout]] = {problem.task_id: [] for problem in problems}
    for rollout in samples:
        waiting[rollout.prompt_id].append(rollout)
    for start in range(0, len(problems), CHUNK):
        chunk = problems[start : start + CHUNK]
        with judges.batch(chunk) as batch:
            batch.add([rollout for problem in chunk for rollout in waiting[problem.task_id]])
            batch.finish()
        progress(len(chunk))
