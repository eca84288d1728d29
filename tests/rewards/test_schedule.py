"""Schedules: which expression holds at which step, going on after a resume, errors at the right character."""

import json
import random

import pytest

from rewards.answer import Value
from rewards.expression import COMPONENTS, NAMED
from rewards.language import ExpressionError, parse
from rewards.schedule import RECIPES, check, observe, parse_schedule, phase_at, start


def anything(answer, *, mode: str = ""):
    return Value(0.0)


FAKES = dict.fromkeys(("binary", "staged", "pass_rate", "style"), anything)


def expressions_by_step(text, steps):
    """The expression of the phase at each step, where no metric matters."""
    schedule = parse_schedule(text, steps, FAKES)
    return [schedule[phase_at(schedule, start(), step)].expression for step in range(steps)]


@pytest.mark.parametrize(
    ("text", "steps", "lengths"),
    [
        ("binary", 3, {"binary": 3}),
        ("binary@0:3", 3, {"binary": 3}),
        ("binary@0:150 -> staged@150:", 200, {"binary": 150, "staged": 50}),
        ("binary@:2->staged@2:3->style@3:", 5, {"binary": 2, "staged": 1, "style": 2}),
        ("binary @ 0 : 50% -> staged @50%:100%", 8, {"binary": 4, "staged": 4}),
        ("binary@0:12.5% -> staged@1:", 8, {"binary": 1, "staged": 7}),
        ("0.5*binary + style if passed @:1 -> -style@1:", 2, {"0.5*binary + style if passed": 1, "-style": 1}),
        ("binary(mode='@ -> when')@:1 -> style@1:", 2, {"binary(mode='@ -> when')": 1, "style": 1}),
        (" two-stage ", 20, {"pass_rate": 7, "binary": 13}),
        ("partial-credit", 150, {"binary": 75, "staged": 75}),
    ],
)
def test_ranges(text, steps, lengths):
    """A phase that is one step too long, a percentage that is rounded to different steps on the two sides of an arrow,
    or an arrow inside an option that splits it."""
    expected = [parse(name, FAKES) for name, length in lengths.items() for _ in range(length)]
    assert expressions_by_step(text, steps) == expected


def run(schedule, metrics, state=None, first=0):
    """The phase of each step, and the state in the end, saved as JSON and read back after each step."""
    state, phases = state or start(), []
    for step, values in enumerate(metrics, start=first):
        phases.append(phase_at(schedule, state, step))
        state = json.loads(json.dumps(observe(schedule, state, step, values)))
    return phases, state


def test_trigger_acts_at_the_next_step_and_for_good():
    """A trigger that acts at its own step, at equality, or that is undone when the metric falls again."""
    schedule = parse_schedule("pass_rate -> binary when pass_rate > 0.3 -> style when reward>-.5", 9, FAKES)
    rates = [0.1, 0.3, 0.31, 0.0, 0.9, 0.0]
    rewards = [0.0, 0.0, 0.0, -0.6, -0.5, -0.4]
    metrics = [{"pass_rate": rate, "reward": reward} for rate, reward in zip(rates, rewards, strict=True)]
    phases, state = run(schedule, metrics)
    assert phases == [0, 0, 0, 1, 1, 1]
    assert state == {"phase": 2, "since": 6, "window": []}
    assert phase_at(schedule, state, 6) == 2


def test_smoothed_trigger_by_hand():
    """A mean over fewer steps than asked, over steps of the phase before, or a window that grows without end."""
    schedule = parse_schedule("pass_rate -> staged when x > 0.5 over 3 -> style when x > 0.5 over 2", 20, FAKES)
    phases, state = run(schedule, [{"x": value} for value in (9.0, 0.0, -8.0, 9.0, 1.0, 0.0, 0.4, 0.5, 0.6)])
    # Means of 3: 1/3, 1/3, 2/3 at step 4, so phase 1 from step 5 on; means of 2: 0.2, 0.45, 0.55 at step 8.
    assert phases == [0, 0, 0, 0, 0, 1, 1, 1, 1]
    assert state == {"phase": 2, "since": 9, "window": []}
    assert run(schedule, [{"x": 0.0}] * 9)[1] == {"phase": 0, "since": 0, "window": [0.0, 0.0, 0.0]}


def test_resumed_run_goes_on_exactly():
    """A resumed run that forgets its window or its phase; a state that `observe` changes under its owner's hands."""
    schedule = parse_schedule("pass_rate -> binary when x > 0.5 over 4 -> style when x > 0.6 over 2", 60, FAKES)
    rng = random.Random(7)
    metrics = [{"x": rng.random()} for _ in range(60)]
    whole, last = run(schedule, metrics)
    assert set(whole) == {0, 1, 2}
    for cut in range(60):
        before, state = run(schedule, metrics[:cut])
        kept = json.dumps(state)
        after, end = run(schedule, metrics[cut:], state, first=cut)
        assert (before + after, end) == (whole, last)
        assert json.dumps(state) == kept


def test_unknown_metric_is_named_at_the_first_step():
    """A slip of the pen in the last phase's trigger that shows after hours."""
    schedule = parse_schedule("binary -> staged when reward > 9 -> style when pass_rat > 0.25", 5, FAKES)
    with pytest.raises(ValueError, match=r"^when pass_rat > 0.25: no such metric at step 0$"):
        observe(schedule, start(), 0, {"reward": 0.0, "pass_rate": 0.0})


@pytest.mark.parametrize(
    ("text", "character", "reason"),
    [
        ("", 1, "empty"),
        ("binary@0:5 -> stagd@5:", 15, "did you mean staged?"),
        ("binary@0:5 -> ", 15, "empty"),
        ("binary@0:5 -> (staged@5:", 15, "not closed"),
        ("binary@0:5 -> 1e999*staged@5:", 15, "too large"),
        ("binary@0:5 -> staged@6:", 22, "leaves steps out: this phase has to start at step 5"),
        ("binary@0:5 -> staged@4:", 22, "takes steps twice: this phase has to start at step 5"),
        ("binary@0:5 -> staged@:", 22, "takes steps twice"),
        ("binary@1:", 8, "start at step 0"),
        ("binary@0:5", 10, "ends at step 5, and there are 10 steps"),
        ("binary@0:5 -> staged@5:9", 24, "ends at step 9"),
        ("binary@0:5 -> staged@5:11", 24, "11 is beyond the end; there are 10 steps"),
        ("binary@0:110%", 10, "beyond the end"),
        ("binary@0:5 -> staged@5:3", 24, "no step from 5 to 3"),
        ("binary@0:1% -> staged@0:", 10, "no step from 0 to 0"),
        ("binary@: -> staged@10:", 23, "no step from 10 to 10"),
        ("binary@", 8, "a range is START:END"),
        ("binary@5", 8, "a range is START:END"),
        ("binary@0:5:9", 8, "a range is START:END"),
        ("binary@0:-5", 10, "neither a number of steps nor"),
        ("binary@0:1.5", 10, "neither a number of steps nor"),
        ("binary@0:\u0665", 10, "neither a number of steps nor"),
        ("binary@0:" + "9" * 5000, 10, "neither a number of steps nor"),
        ("binary -> staged", 17, "a trigger (when pass_rate > 0.3) is missing"),
        ("binary@0:5 -> staged ", 21, "a range of steps (@150:) is missing"),
        ("binary@0:5 -> staged when x > 1", 21, "a range of steps (@150:) is missing"),
        ("binary -> staged@5:", 17, "a trigger"),
        ("binary when x > 1", 8, "the first phase starts at step 0"),
        ("binary -> staged when", 22, "a trigger is METRIC > NUMBER"),
        ("binary -> staged when x < 1", 22, "a trigger is METRIC > NUMBER"),
        ("binary -> staged when x y > 1", 22, "a trigger is METRIC > NUMBER"),
        ("binary -> staged when x > 1 over", 22, "a trigger is METRIC > NUMBER"),
        ("binary -> staged when x > nan", 22, "a trigger is METRIC > NUMBER"),
        ("binary -> staged when x > 1e999", 27, "infinity"),
        ("binary -> staged when x > 1 over 0", 34, "a mean over 1 to 10 steps"),
        ("binary -> staged when x > 1 over 11", 34, "a mean over 1 to 10 steps"),
        ("binary - > staged", 10, "> where"),
        ("(binary -> staged)", 1, "not closed"),
        ("binary\n@0:", 7, "is not in the language"),
    ],
)
def test_bad_text_is_one_line_that_shows_the_character(text, character, reason):
    """A message that counts characters from the phase's start, or a schedule with a hole that is trained on."""
    with pytest.raises(ExpressionError) as caught:
        parse_schedule(text, 10, FAKES)
    assert reason in caught.value.reason
    assert caught.value.position == character - 1
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


EXPRESSIONS = ["binary", "0.5*staged", "style if passed"]
MARKS = ["", "@0:5", "@:5", "@5:", "@50%:100%", " when pass_rate > 0.3", " when pass_rate>0.3 over 2"]
NOISE = [":", "@", " when ", "->", ">", "-", "(", "'", "7", "\n", "\0", "\ud800", "9" * 400, "%", ".", "e9", " "]


def test_random_texts_are_read_or_refused():
    """Another exception than the one that callers catch, or a schedule that leaves a step without a phase."""
    rng, lengths = random.Random(8), set()
    for _ in range(2000):
        text = " -> ".join(rng.choice(EXPRESSIONS) + rng.choice(MARKS) for _ in range(rng.randint(1, 3)))
        if rng.random() < 0.5:
            place = rng.randint(0, len(text))
            text = text[:place] + rng.choice(NOISE) + text[place:]
        try:
            schedule = parse_schedule(text, 10, FAKES)
        except ExpressionError:
            continue
        lengths.add((len(schedule), schedule[-1].start))
        asked = [phase.when.metric for phase in schedule if phase.when]
        phases, _ = run(schedule, [dict.fromkeys(asked, rng.random()) for _ in range(10)])
        assert phases[0] == 0
        assert all(later - earlier in (0, 1) for earlier, later in zip(phases, phases[1:], strict=False))
    assert {(1, 0), (2, 5), (2, None), (3, None)} <= lengths  # the alphabet does make sentences


def test_recipes_need_no_metric():
    """A recipe that cannot be read with the real components."""
    for name in RECIPES:
        assert [phase.when for phase in parse_schedule(name, 100)] == [None, None]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("binary@:5 -> staged + length(buffer=73)@5:", "length: buffer 73: needs 1 to 72"),
        ("simulator", "simulator: .* no simulator"),
        ("0*style(normaliser=0)", "style: normaliser 0"),
        ("security(low=2) if passed", "security: low 2"),
        ("sync(per_token=2)", "sync: per_token 2"),
    ],
)
def test_what_no_answer_can_have_shows_before_the_run(text, reason):
    """An option that does not fit the run, in a late phase or behind a gate, and that ends it after hours."""
    with pytest.raises(ValueError, match=f"^{reason}"):
        check(parse_schedule(text, 10), 72)


def test_what_a_run_has_is_enough():
    """A component or a name that is refused though every answer of a run has what it needs."""
    for name in (*COMPONENTS, *NAMED, *RECIPES, "length(buffer=72)"):
        if name != "simulator":
            check(parse_schedule(name, 10), 72)
