"""What is known of a rollout's program beyond its text: its tests and its findings, got while others are still written.

    answer() --rollouts as they end--> Trial.add --> sandbox
                                       Trial.finish --> Ruff and Bandit, beside what the sandbox has left

Then `reward_rollouts` turns outcomes and findings into rewards, and `locate` lays them on tokens.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from data.problems import Problem
from experiments.inputs.policy import Policy
from rewards.answer import Analysis, Answer, Span
from rewards.components import security, style
from rewards.executed_lines import unexecuted
from rewards.expression import Expression, evaluate
from rewards.linters.pool import Analyst
from rl import credit
from rl.rollout import Rollout
from sandbox import Case, Limits, Outcome, Sandbox, Stage, Task, WeakSandbox

CREDITS = ("uniform", "line", "executed", "dense")


@dataclass
class Referee:
    """The processes that look at programs: the sandbox's slots, and Ruff and Bandit (start_referee starts both)."""

    judge: Sandbox
    analyst: Analyst

    def __enter__(self) -> "Referee":
        return self

    def __exit__(self, *exception: object) -> None:
        self.analyst.close()
        self.judge.close()

    def trial(self, problems: Sequence[Problem], want_lines: bool = False) -> "Trial":
        """A trial of answers to some of the problems; `want_lines` also asks which lines were executed."""
        return Trial(self, {problem.task_id: problem for problem in problems}, want_lines)


def start_referee(slots: int, cpu_seconds: float, allow_weak: bool) -> "Referee":
    """Sandbox and static analysis. ValueError, one line, where one does not start."""
    try:
        analyst = Analyst()
    except RuntimeError as error:  # another Ruff or Bandit than ours
        raise ValueError(str(error)) from None
    try:
        return Referee(start_judge(slots, program_limits(cpu_seconds), allow_weak), analyst)
    except ValueError:
        analyst.close()
        raise


def program_limits(cpu_seconds: float) -> Limits:
    """A program has `cpu_seconds` for all its tests: one that loops on a test loops on most, and loops must stay cheap.

    CPU time decides; elapsed time is for programs that sleep, and so wide that a busy machine changes nothing.
    """
    return Limits(
        test_cpu_seconds=cpu_seconds,
        program_cpu_seconds=cpu_seconds,
        test_wall_seconds=5 * cpu_seconds,
        program_wall_seconds=5 * cpu_seconds,
    )


def start_judge(slots: int, limits: Limits, allow_weak: bool) -> Sandbox:
    """The sandbox. ValueError, one line, where it does not start, or is too weak to run what a model writes."""
    try:
        return Sandbox(slots, limits, allow_weak=allow_weak)
    except WeakSandbox as error:
        raise ValueError(f"{error}; --allow-weak-sandbox goes on all the same") from None
    except RuntimeError as error:  # its processes do not start here
        raise ValueError(str(error)) from None


@dataclass
class Trial:
    """One batch of rollouts on its way. A `with` block: left early, it takes back what has not been run."""

    referee: Referee
    problems: dict[int | str, Problem]
    want_lines: bool
    place: dict[Task, tuple[int, int]] = field(default_factory=dict)  # of each task: which batch, where in it
    batches: list = field(default_factory=list)
    stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> "Trial":
        return self

    def __exit__(self, *exception: object) -> None:
        self.stack.close()

    def add(self, rollouts: Sequence[Rollout]) -> None:
        """Start on these. Of equal programs for one problem only the first is executed."""
        tasks = {self.task(rollout): None for rollout in rollouts}
        fresh = [task for task in tasks if task not in self.place]
        if fresh:
            self.place |= {task: (len(self.batches), index) for index, task in enumerate(fresh)}
            self.batches.append(self.stack.enter_context(self.referee.judge.submit(fresh)))

    def finish(self, rollouts: Sequence[Rollout]) -> list[tuple[Outcome, Analysis]]:
        """What became of the rollouts, all of which were added, in their order."""
        pending = self.referee.analyst.submit([source(rollout) for rollout in rollouts])
        outcomes = [batch.outcomes() for batch in self.batches]
        analyses = pending.results()
        places = [self.place[self.task(rollout)] for rollout in rollouts]
        return [(outcomes[batch][index], found) for (batch, index), found in zip(places, analyses, strict=True)]

    def task(self, rollout: Rollout) -> Task:
        return make_task(self.problems[rollout.prompt_id], source(rollout), self.want_lines)


def make_task(problem: Problem, program: str, want_lines: bool = False) -> Task:
    """A program for a problem, as the sandbox wants it."""
    return Task(
        program,
        tests=problem.test_list,
        check=problem.check,
        cases=tuple(Case(*case) for case in problem.cases),
        entry_point=problem.entry_point,
        # A check may use helpers of the stub; they must not come from the program (HumanEval's poly, encode_cyclic).
        setup=problem.stub if problem.check else problem.test_setup_code,
        support=problem.support,
        tolerance=problem.tolerance,
        want_lines=want_lines,
        cpu_seconds=problem.cpu_seconds,
    )


def source(rollout: Rollout) -> str:
    """What is executed: the rollout's program, behind the code that it goes on from."""
    start, end, _ = rollout.program
    return rollout.prefix + rollout.text[start:end]


def describe(rollout: Rollout, outcome: Outcome, analysis: Analysis) -> None:
    """Writes outcome and findings into the rollout as plain data; what the program printed is left out."""
    record = outcome.to_dict()
    del record["output"], record["lines"]
    rollout.outcome = record | {"tests": [test.word for test in outcome.tests]}
    rollout.findings = {
        "failed": analysis.failed,
        "style": style.profile(analysis.style),
        "security": security.profile(analysis.security),
        "rules": [f"{found.rule}:{found.line}" for found in (*analysis.style, *analysis.security)],
    }


def has_passed(rollout: Rollout) -> bool:
    """Whether a judged rollout passed every test."""
    return rollout.outcome["stage"] == Stage.PASSED.name


def make_answers(
    problems: dict[int | str, Problem],
    rollouts: Sequence[Rollout],
    known: Sequence[tuple[Outcome, Analysis]],
    policy: Policy,
    budget: int,
) -> list[Answer]:
    """What the components look at, of rollouts that stand prompt by prompt."""
    peers: dict[int | str, list[Outcome]] = {}
    for rollout, (outcome, _) in zip(rollouts, known, strict=True):
        peers.setdefault(rollout.prompt_id, []).append(outcome)
    answers = []
    for rollout, (outcome, analysis) in zip(rollouts, known, strict=True):
        problem = problems[rollout.prompt_id]
        start, end, fenced = rollout.program
        answers.append(
            Answer(
                text=rollout.text,
                program=(start, end),
                outcome=outcome,
                fenced=fenced,
                entry_point=problem.entry_point,
                reference=problem.code,
                analysis=analysis,
                peers=tuple(peers[rollout.prompt_id]),
                tokens=len(rollout.completion),
                budget=budget,
                token_starts=tuple(first for first, _ in policy.decode(rollout.completion)[1]),
                prefix=rollout.prefix,
            )
        )
    return answers


def reward_rollouts(
    rollouts: Sequence[Rollout], answers: Sequence[Answer], expression: Expression
) -> list[tuple[Span, ...]]:
    """Fills in reward and components, and returns the spans that account for each reward."""
    spans = []
    for rollout, answer in zip(rollouts, answers, strict=True):
        result = evaluate(expression, answer)
        rollout.reward = result.value.value
        rollout.components = {name: value.value for name, value in result.components.items()}
        spans.append(result.value.spans)
    return spans


def locate(
    mode: str,
    rollouts: Sequence[Rollout],
    answers: Sequence[Answer],
    spans: Sequence[Sequence[Span]],
    policy: Policy,
    group_size: int,
) -> None:
    """Fills in, of each rollout, the part of the reward that belongs to single tokens, and each token's credit.

    uniform   nothing belongs to a token more than to another
    line      losses are charged to the tokens of their places: a finding, a failing line, a syntax error
    executed  tokens of lines that no test executed get no credit
    dense     losses and gains are laid on the tokens of their places
    """
    for rollout, answer, found in zip(rollouts, answers, spans, strict=True):
        if mode == "uniform":
            continue
        _, ranges = policy.decode(rollout.completion)
        if mode == "executed":
            rollout.token_weights = credit.mask_tokens(unexecuted(answer), ranges, len(rollout.text))
        else:
            charged = [(span.start, span.end, span.value) for span in found if mode == "dense" or span.value < 0]
            rollout.token_rewards = credit.spread_spans(charged, ranges)
    if mode == "line":
        credit.limit_charges(rollouts, group_size)
