"""Rewards that change during a run: "binary@0:150 -> staged@150:", or "pass_rate -> binary when pass_rate > 0.3".

"->" separates phases. A single expression is a schedule of one phase; the others are of one of two kinds:

    EXPRESSION@START:END       steps from START up to END, END excluded, counted from 0 or in percent of all steps
                               (@0:50%); an empty START is the first step, an empty END the last
    EXPRESSION when METRIC > NUMBER [over STEPS]
                               every phase but the first begins after the step at which the metric's mean over the last
                               STEPS steps (1 by default) is above the number; every step must have the metric

A schedule never changes. The state of a run is a small dict of plain JSON, so that a resumed run continues exactly:

    state = start()
    at each step:  phase_at(schedule, state, step), the step itself, state = observe(schedule, state, step, metrics)
"""

import dataclasses
import math
import re
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rewards.answer import Analysis, Answer, Value
from rewards.expression import COMPONENTS, Expression, evaluate
from rewards.language import ExpressionError, Reader
from sandbox import Outcome, Stage, Verdict

RECIPES = {
    # arXiv 2605.02944: pass rate for the first 256 of 768 steps, then binary.
    "two-stage": "pass_rate@0:33% -> binary@33%:",
    # doi 10.1145/3814943.3816167: from binary to partial credit. The change at half of the run is ours.
    "partial-credit": "binary@0:50% -> staged@50%:",
}


@dataclass(frozen=True)
class Trigger:
    """The mean of a metric over the last `over` steps is above a number."""

    metric: str
    above: float
    over: int


@dataclass(frozen=True)
class Phase:
    """One expression for some steps.

    start  the first step; None where `when` decides
    when   what must be measured in the phase before; None where `start` decides
    """

    expression: Expression
    start: int | None
    when: Trigger | None


# The first phase starts at step 0; the others all have a start or all have a trigger.
Schedule = tuple[Phase, ...]


# ---- during a run ----


def start() -> dict:
    """The state before the first step: index of the phase, its first step, the trigger's latest measurements."""
    return {"phase": 0, "since": 0, "window": []}


def phase_at(schedule: Schedule, state: dict, step: int) -> int:
    """The index of the phase of a step (counted from 0); `state` is the one after the step before.

    With ranges the step alone decides, and the state never changes.
    """
    if schedule[-1].start is None:
        return state["phase"]
    return sum(phase.start <= step for phase in schedule) - 1


def observe(schedule: Schedule, state: dict, step: int, metrics: Mapping[str, float]) -> dict:
    """The state for the next step, after a step with these metrics.

    A trigger counts only steps of the phase before its own, and acts once it has `over` of them. ValueError for a
    metric that the step does not have; all later triggers are checked, so that a mistake shows at once.
    """
    later = [phase.when for phase in schedule[state["phase"] + 1 :] if phase.when]
    for trigger in later:
        if trigger.metric not in metrics:
            raise ValueError(f"when {trigger.metric} > {trigger.above:g}: no such metric at step {step}")
    if not later:
        return state
    window = [*state["window"], metrics[later[0].metric]][-later[0].over :]
    if len(window) == later[0].over and statistics.fmean(window) > later[0].above:
        return {"phase": state["phase"] + 1, "since": step + 1, "window": []}
    return state | {"window": window}


# ---- reading ----

RANGE = re.compile(r"[ \t]*(?P<start>[^:\s]*)[ \t]*:[ \t]*(?P<end>[^:\s]*)[ \t]*")
POINT = re.compile(r"(?P<number>\d{1,9}(\.\d{1,9})?)(?P<percent>%?)", re.ASCII)
TRIGGER = re.compile(
    r"""[ \t]+(?P<metric>[!-=?-~]+) [ \t]*>[ \t]* (?P<above>-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)
        ([ \t]+over[ \t]+(?P<over>\d{1,9}))?[ \t]*""",
    re.ASCII | re.VERBOSE,
)

MISSING = {"@": "a range of steps (@150:) is missing", "when": "a trigger (when pass_rate > 0.3) is missing"}


def parse_schedule(text: str, steps: int, components: Mapping[str, Callable[..., Value]] = COMPONENTS) -> Schedule:
    """The schedule of a run of so many steps; a name of RECIPES stands for its text.

    ExpressionError for a text that is no schedule, and for ranges that skip a step, overlap or go beyond the end.
    """
    text = RECIPES.get(text.strip(), text)
    reader = Reader(text, components)
    phases, expected = [], 0  # expected: the first step without a phase
    while not phases or reader.take("->"):
        expression = reader.expression()
        mark = "" if reader.word == "->" else reader.word
        if not phases and mark == "when":
            raise reader.error("the first phase starts at step 0, not when ...")
        if not phases:
            later = mark or "when"  # the mark that all later phases must have
        elif mark != later:
            raise reader.error(MISSING[later], len(text[: reader.at].rstrip()))
        first, when, rest_at = expected, None, reader.end
        rest = text[rest_at:].partition("->")[0]
        if mark:
            reader.move(rest_at + len(rest))
        if mark == "@":
            expected = _read_range(text, rest, rest_at, steps, expected)
        elif mark == "when":
            first, when = None, _read_trigger(text, rest, rest_at, steps)
        phases.append(Phase(expression, first, when))
    return tuple(phases)


def _read_range(text: str, rest: str, at: int, steps: int, expected: int) -> int:
    """The end of a phase that must start at step `expected`; its range `rest` begins at character `at` of the text."""
    match = RANGE.fullmatch(rest)
    if not match:
        raise ExpressionError(text, at, "a range is START:END, as in @0:150")
    start_at, end_at = at + match.start("start"), at + match.start("end")
    first = _read_step(text, match["start"], start_at, steps, 0)
    end = _read_step(text, match["end"], end_at, steps, steps)
    if first != expected:
        problem = "leaves steps out" if first > expected else "takes steps twice"
        raise ExpressionError(text, start_at, f"{problem}: this phase has to start at step {expected}")
    if end <= first:
        raise ExpressionError(text, end_at, f"no step from {first} to {end}")
    if end < steps and at + len(rest) == len(text):
        raise ExpressionError(text, end_at, f"ends at step {end}, and there are {steps} steps")
    return end


def _read_step(text: str, point: str, at: int, steps: int, default: int) -> int:
    """A step, from one side of the colon. Percents are rounded: 33% of 20 steps is 7."""
    if not point:
        return default
    match = POINT.fullmatch(point)
    if not match or (not match["percent"] and not point.isdecimal()):
        raise ExpressionError(text, at, "neither a number of steps nor a percentage")
    step = round(float(match["number"]) * steps / 100) if match["percent"] else int(point)
    if step > steps:
        raise ExpressionError(text, at, f"{point} is beyond the end; there are {steps} steps")
    return step


def _read_trigger(text: str, rest: str, at: int, steps: int) -> Trigger:
    match = TRIGGER.fullmatch(rest)
    if not match:
        reason = "a trigger is METRIC > NUMBER, perhaps over STEPS, as in when pass_rate > 0.3 over 10"
        raise ExpressionError(text, at, reason)
    above, over = float(match["above"]), int(match["over"] or 1)
    if not math.isfinite(above):
        raise ExpressionError(text, at + match.start("above"), "no mean is above infinity")
    if not 1 <= over <= steps:
        raise ExpressionError(text, at + match.start("over"), f"a mean over 1 to {steps} steps, not {over}")
    return Trigger(match["metric"], above, over)


# ---- checking ----


def check(schedule: Schedule, budget: int) -> None:
    """ValueError, one line, if a component cannot be evaluated in a run with `budget` tokens for an answer.

    Evaluates an example that has what answers of a run have: `simulator` needs more, an option may not fit the budget.
    """
    values = {field.name: None for field in dataclasses.fields(Outcome)}
    known = {"stage": Stage.PASSED, "passed": 1, "total": 1, "tests": (Verdict("passed"),)}
    outcome, text = Outcome(**values | known), "f = 1"
    example = Answer(
        text=text,
        program=(0, len(text)),
        outcome=outcome,
        entry_point="f",
        reference=text,
        analysis=Analysis(parses=True),
        peers=(outcome,),
        tokens=1,
        budget=budget,
        token_starts=(0,),
    )
    for phase in schedule:
        evaluate(phase.expression, example)
