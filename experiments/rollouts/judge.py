"""Judges rollouts: the sandbox runs their programs, Ruff and Bandit analyse them, while others are still being sampled.

with judges.batch(problems) as batch:
    rollouts = sample_rollouts(..., on_rollouts=batch.add)     # the sandbox starts on what has ended
    batch.finish()                                             # sets outcome, analysis and findings of each
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from data.problems import Problem
from experiments.inputs.tasks import make_task, program_limits, start_sandbox
from rewards.linters.pool import Analyst
from rewards.linters.rules import count_findings
from rl.rollout import Rollout
from sandbox import Sandbox, Stage, Task
from sandbox.pool import Submission


@dataclass
class Judges:
    """The processes that look at programs: the sandbox's slots, and Ruff and Bandit (`start_judges` starts them)."""

    sandbox: Sandbox
    analyst: Analyst

    def __enter__(self) -> "Judges":
        return self

    def __exit__(self, *exception: object) -> None:
        self.analyst.close()
        self.sandbox.close()

    def batch(self, problems: Sequence[Problem], want_lines: bool = False) -> "JudgedBatch":
        """A batch of rollouts that answer some of the problems; `want_lines` also asks which lines were executed."""
        return JudgedBatch(self, {problem.task_id: problem for problem in problems}, want_lines)


def start_judges(slots: int, cpu_seconds: float, allow_weak: bool) -> Judges:
    """Starts sandbox and linters. ValueError, one line, if one of them does not start."""
    try:
        analyst = Analyst()
    except RuntimeError as error:  # another Ruff or Bandit than the pinned one
        raise ValueError(str(error)) from None
    try:
        return Judges(start_sandbox(slots, program_limits(cpu_seconds), allow_weak), analyst)
    except ValueError:
        analyst.close()
        raise


@dataclass
class JudgedBatch:
    """Rollouts that are being judged. Leaving the `with` block early cancels what has not been run."""

    judges: Judges
    problems: dict[int | str, Problem]
    want_lines: bool
    places: dict[Task, tuple[Submission, int]] = field(default_factory=dict)  # equal programs are executed once
    rollouts: list[tuple[Rollout, tuple[Submission, int]]] = field(default_factory=list)
    stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> "JudgedBatch":
        return self

    def __exit__(self, *exception: object) -> None:
        self.stack.close()

    # station 5: start the program
    def add(self, rollouts: Sequence[Rollout]) -> None:
        """Starts to execute these."""
        tasks = [make_task(self.problems[r.prompt_id], source(r), self.want_lines) for r in rollouts]
        fresh = [task for task in dict.fromkeys(tasks) if task not in self.places]
        if fresh:
            submission = self.stack.enter_context(self.judges.sandbox.submit(fresh))
            self.places |= {task: (submission, index) for index, task in enumerate(fresh)}
        self.rollouts += [(rollout, self.places[task]) for rollout, task in zip(rollouts, tasks, strict=True)]

    # station 6: collect the outcomes
    def finish(self) -> None:
        """Waits for all, and writes outcome, analysis and findings into the rollouts."""
        pending = self.judges.analyst.submit([source(rollout) for rollout, _ in self.rollouts])
        outcomes = {
            submission: submission.outcomes() for submission in dict.fromkeys(s for s, _ in self.places.values())
        }
        for (rollout, (submission, index)), analysis in zip(self.rollouts, pending.results(), strict=True):
            rollout.outcome, rollout.analysis = outcomes[submission][index], analysis
            rollout.findings = {
                "failed": analysis.failed,
                **count_findings(analysis),
                "rules": [f"{found.rule}:{found.line}" for found in (*analysis.style, *analysis.security)],
            }


def source(rollout: Rollout) -> str:
    """The executed code: the rollout's program, behind the code that it continues."""
    start, end, _ = rollout.program
    return rollout.prefix + rollout.text[start:end]


def has_passed(rollout: Rollout) -> bool:
    """Whether a judged rollout passed every test."""
    return rollout.outcome.stage == Stage.PASSED
