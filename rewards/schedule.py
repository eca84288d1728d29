"""Rewards that change during a run: "binary@0:150 -> staged@150:", or "pass_rate -> binary when pass_rate > 0.3".

Phases are joined by "->". Either each has a range of steps, START:END, END excluded, counted from 0 or in percent of
all steps (@0:50%), an empty START the first step and an empty END the end; or each but the first says what has to be
measured before it begins: `when METRIC > NUMBER`, METRIC one that every step of the run has, with `over 10` the
mean of the last 10 steps instead of the last one. A single expression is a schedule of one phase.

A schedule never changes. Where a run stands is a small dict of plain JSON, so that a resumed run goes on exactly:

    state = start()
    at each step:  phase_at(schedule, state, step), the step itself, state = observe(schedule, state, step, metrics)
"""

import itertools
import math
import re
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rewards.expression import COMPONENTS, Expression
from rewards.language import ExpressionError, parse

RECIPES = {
    # arXiv 2605.02944: pass rate for the first 256 of 768 steps, then binary.
    "two-stage": "pass_rate@0:33% -> binary@33%:",
    # The work in progress on scheduled partial credit (doi 10.1145/3814943.3816167), the other way round: from binary
    # to partial credit. Where it changes over, half of the run, is ours.
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

    text   the expression as it was written
    start  the first step; None where `when` says when
    when   what has to be measured in the phase before; None where `start` says when
    """

    expression: Expression
    text: str
    start: int | None
    when: Trigger | None


@dataclass(frozen=True)
class Schedule:
    """At least one phase; the first starts at step 0, and the others all by step or all by trigger."""

    phases: tuple[Phase, ...]


# ---- during a run ----


def start() -> dict:
    """The state of a run before its first step: index of the phase, its first step, what was measured for its end."""
    return {"phase": 0, "since": 0, "window": []}


def phase_at(schedule: Schedule, state: dict, step: int) -> int:
    """The index of the phase that a step (counted from 0) belongs to; `state` is that after the step before.

    With ranges the step alone decides, and the state stays as it was at the start.
    """
    if schedule.phases[-1].start is None:
        return state["phase"]
    return sum(phase.start <= step for phase in schedule.phases) - 1


def observe(schedule: Schedule, state: dict, step: int, metrics: Mapping[str, float]) -> dict:
    """The state after a step with these metrics, for the next step; `state` itself is left alone.

    A trigger counts steps of the phase before its own only, and acts when it has `over` of them. ValueError for a
    trigger whose metric the step does not have; those of all later phases are asked for, so that it shows at once.
    """
    later = [phase.when for phase in schedule.phases[state["phase"] + 1 :] if phase.when]
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

# Arrows and marks are looked for outside of strings, which the first two alternatives eat up.
ARROW = re.compile(r"""'[^']*'|"[^"]*"|(?P<arrow>->)""")
MARK = re.compile(r"""'[^']*'|"[^"]*"|(?P<mark>@|\bwhen\b)""", re.ASCII)
RANGE = re.compile(r"[ \t]*(?P<start>[^:\s]*)[ \t]*:[ \t]*(?P<end>[^:\s]*)[ \t]*")
POINT = re.compile(r"(?P<number>\d{1,9}(\.\d{1,9})?)(?P<percent>%?)", re.ASCII)
TRIGGER = re.compile(
    r"""[ \t]+(?P<metric>[!-=?-~]+) [ \t]*>[ \t]* (?P<above>-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)
        ([ \t]+over[ \t]+(?P<over>\d{1,9}))?[ \t]*""",
    re.ASCII | re.VERBOSE,
)


@dataclass(frozen=True)
class _Piece:
    """One phase in the text: its first character, the expression, and what follows "@" or "when", from where on."""

    column: int
    text: str
    mark: str
    rest: str
    rest_column: int


def parse_schedule(text: str, steps: int, components: Mapping[str, Callable] = COMPONENTS) -> Schedule:
    """The schedule of a run of so many steps; a name of RECIPES stands for its text.

    ExpressionError, one line that shows the character, for what cannot be read, and for ranges that leave a step out,
    take one twice or go beyond the end.
    """
    text = RECIPES.get(text.strip(), text)
    pieces = _split(text)
    expressions = [_expression(text, piece, components) for piece in pieces]
    if len(pieces) == 1 and not pieces[0].mark:
        return Schedule((Phase(expressions[0], pieces[0].text.strip(), 0, None),))
    _check_marks(text, pieces)
    if pieces[0].mark == "@":
        starts, triggers = _starts(text, pieces, steps), [None] * len(pieces)
    else:
        starts = [0] + [None] * (len(pieces) - 1)
        triggers = [None] + [_trigger(text, piece, steps) for piece in pieces[1:]]
    rows = zip(expressions, pieces, starts, triggers, strict=True)
    return Schedule(
        tuple(Phase(expression, piece.text.strip(), first, when) for expression, piece, first, when in rows)
    )


def _split(text: str) -> list[_Piece]:
    arrows = [match.span() for match in ARROW.finditer(text) if match["arrow"]]
    edges = [0, *itertools.chain.from_iterable(arrows), len(text)]
    return [_piece(text[first:last], first) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _piece(text: str, column: int) -> _Piece:
    mark = next((match for match in MARK.finditer(text) if match["mark"]), None)
    if mark is None:
        return _Piece(column, text, "", "", column + len(text))
    return _Piece(column, text[: mark.start()], mark["mark"], text[mark.end() :], column + mark.end())


def _expression(text: str, piece: _Piece, components: Mapping[str, Callable]) -> Expression:
    """The piece's expression; its errors point into the whole text."""
    try:
        return parse(piece.text, components)
    except ExpressionError as error:
        raise ExpressionError(text, piece.column + error.position, error.reason) from None


def _check_marks(text: str, pieces: list[_Piece]) -> None:
    """All have a range, or all but the first a trigger."""
    wanted = "@" if pieces[0].mark == "@" else "when"
    if pieces[0].mark == "when":
        raise ExpressionError(
            text, pieces[0].rest_column - len("when"), "the first phase starts at step 0, not when ..."
        )
    for piece in pieces[1:]:
        if piece.mark != wanted:
            example = "a range of steps (@150:)" if wanted == "@" else "a trigger (when pass_rate > 0.3)"
            raise ExpressionError(text, piece.column + len(piece.text.rstrip()), f"{example} is missing")


def _starts(text: str, pieces: list[_Piece], steps: int) -> list[int]:
    """The first step of each phase."""
    starts, expected = [], 0
    for piece in pieces:
        match = RANGE.fullmatch(piece.rest)
        if not match:
            raise ExpressionError(text, piece.rest_column, "a range is START:END, as in @0:150")
        start_column, end_column = piece.rest_column + match.start("start"), piece.rest_column + match.start("end")
        first = _point(text, match["start"], start_column, steps, 0)
        end = _point(text, match["end"], end_column, steps, steps)
        if first != expected:
            problem = "leaves steps out" if first > expected else "takes steps twice"
            raise ExpressionError(text, start_column, f"{problem}: this phase has to start at step {expected}")
        if end <= first:
            raise ExpressionError(text, end_column, f"no step from {first} to {end}")
        starts.append(first)
        expected = end
    if expected < steps:
        raise ExpressionError(text, end_column, f"ends at step {expected}, and there are {steps} steps")
    return starts


def _point(text: str, point: str, column: int, steps: int, default: int) -> int:
    """A step from what stands before or behind the colon. Percents are rounded: 33% of 20 steps is 7."""
    if not point:
        return default
    match = POINT.fullmatch(point)
    if not match or (not match["percent"] and not point.isdecimal()):
        raise ExpressionError(text, column, "neither a number of steps nor a percentage")
    step = round(float(match["number"]) * steps / 100) if match["percent"] else int(point)
    if step > steps:
        raise ExpressionError(text, column, f"{point} is beyond the end; there are {steps} steps")
    return step


def _trigger(text: str, piece: _Piece, steps: int) -> Trigger:
    match = TRIGGER.fullmatch(piece.rest)
    if not match:
        reason = "a trigger is METRIC > NUMBER, perhaps over STEPS, as in when pass_rate > 0.3 over 10"
        raise ExpressionError(text, piece.rest_column, reason)
    if not math.isfinite(float(match["above"])):
        raise ExpressionError(text, piece.rest_column + match.start("above"), "never above infinity")
    over = int(match["over"] or 1)
    if not 1 <= over <= steps:
        raise ExpressionError(
            text, piece.rest_column + match.start("over"), f"a mean over 1 to {steps} steps, not {over}"
        )
    return Trigger(match["metric"], float(match["above"]), over)
