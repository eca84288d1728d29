"""The language of rewards: values and spans against closed forms, errors at the right character, nothing executed."""

import builtins
import dataclasses
import random

import pytest

from rewards.answer import Analysis, Answer, Span, Value
from rewards.expression import COMPONENTS, NAMED, evaluate
from rewards.language import ExpressionError, option_defaults, parse
from sandbox import Outcome, Stage, Verdict

VALUES = {"staged": 0.8, "style": 0.5, "binary": 0.9, "security": 0.25, "pass_rate": 0.4}
LOSSES = {"staged": -0.2, "style": -0.5, "binary": 0.3, "security": -0.75, "pass_rate": -0.6}  # each at its own place
PLACES = {name: (10 * index, 10 * index + 5) for index, name in enumerate(VALUES)}


def fixed(name, values=VALUES):
    """A component that pays the same for everything, part of it at a place of its own."""
    return lambda answer: Value(values[name], (Span(*PLACES[name], LOSSES[name]),))


def optional(answer, *, normaliser: float = 8.0, count: int = 1, mode: str = "exp"):
    return Value(normaliser + count)


FAKES = {name: fixed(name) for name in VALUES} | {"optional": optional}


def answer(stage=Stage.PASSED, **changes):
    values = {field.name: None for field in dataclasses.fields(Outcome)}
    passed = 1 if stage == Stage.PASSED else 0
    tests = (Verdict("passed" if passed else "wrong"),)
    outcome = Outcome(**values | {"stage": stage, "passed": passed, "total": 1, "tests": tests})
    text = "```python\ndef f():\n    return 1\n```"
    given = {"text": text, "program": (10, 32), "outcome": outcome, "entry_point": "f", "reference": text[10:32]}
    given |= {"peers": (outcome,), "worlds": (3,), "tokens": 9, "budget": 72, "token_starts": tuple(range(0, 36, 4))}
    return Answer(**given | changes)


def value_of(text, stage=Stage.PASSED):
    return evaluate(parse(text, FAKES), answer(stage)).value.value


@pytest.mark.parametrize(
    ("text", "passed", "failed"),
    [
        ("staged + 0.2*style if passed", 0.8 + 0.1, 0.8),
        ("(staged + 0.2*style) if passed", 0.9, 0.0),
        ("staged - 0.2*style if passed", 0.7, 0.8),
        ("staged + style - security if passed", 0.8 + 0.5 - 0.25, 0.8 + 0.5),
        ("(staged) + (style) if passed", 1.3, 0.8),
        ("2*staged*style if passed", 0.8, 0.0),
        ("-style if passed", -0.5, 0.0),
        ("staged if passed else 0.5*style", 0.8, 0.25),
        ("staged + style if passed else 0.5*security", 1.3, 0.8 + 0.125),
        ("staged if passed else (style + security)", 0.8, 0.75),
        ("staged if passed else style if not parses else security", 0.8, 0.25),
        ("(0.5*style if passed) + (0.4*security if passed)", 0.25 + 0.1, 0.0),
        ("(style if passed) + binary", 1.4, 0.9),
        ("binary * (style if passed)", 0.45, 0.0),
        ("(style if runs) if passed", 0.5, 0.0),
        ("staged + ((style if passed) if parses)", 1.3, 0.8),
        ("staged if passed else 0.1 if pass_rate > 0.3", 0.8, 0.1),
    ],
)
def test_if_takes_the_last_term(text, passed, failed):
    """Python's own reading, in which an if gates the whole sum; an else in the wrong bracket."""
    assert value_of(text) == pytest.approx(passed)
    assert value_of(text, Stage.PARTIAL) == pytest.approx(failed)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("binary * style", 0.45),
        ("staged - style - security", 0.05),
        ("staged - (style - security)", 0.55),
        ("-staged*style", -0.4),
        ("-(staged + style)/2", -0.65),
        ("--staged", 0.8),
        ("staged/4/2", 0.1),
        ("staged/-2", -0.4),
        ("1e-1*staged + .5*style + 2.*security", 0.08 + 0.25 + 0.5),
        ("\tstaged+ 1 ", 1.8),
        ("unit-test", 0.9),
        ("unit-test-style", 0.4),
        ("0.5*combined", 0.5 * (0.63 + 0.15)),
        ("securecode", 0.48 + 0.1),
        ("ruff-only * unit-test", 0.45),
        ("optional", 9.0),
        ("optional()", 9.0),
        ("optional(count=-3, normaliser=2)", -1.0),
        ('optional(mode="a, (b) -> c")', 9.0),
        ("0*staged/5e-324", 0.0),
        ("+".join(["staged"] * 1000), 800.0),  # of any length; only nesting has a limit
    ],
)
def test_values(text, value):
    """A wrong precedence or associativity, an option that does not arrive, a name of a paper that is another sum."""
    assert value_of(text) == pytest.approx(value)


def test_conditions_on_every_stage():
    """`runs` for a module body that failed, `formatted` of a program without a fence, and before or."""
    stages = {"parses": Stage.PARSES, "runs": Stage.RUNS, "passed": Stage.PASSED}
    for stage in Stage:
        for fenced in (False, True):
            looked_at = answer(stage, fenced=fenced)
            for name, least in stages.items():
                gate = parse(f"staged if {name}", FAKES)
                assert evaluate(gate, looked_at).value.value == (0.8 if stage >= least else 0.0)
            gate = parse("staged if not formatted and runs or passed", FAKES)
            holds = (not fenced and stage >= Stage.RUNS) or stage == Stage.PASSED
            assert evaluate(gate, looked_at).value.value == (0.8 if holds else 0.0)


@pytest.mark.parametrize(
    ("comparison", "holds"),
    [("> 0.4", False), (">= 0.4", True), ("< 0.4", False), ("<= 0.4", True), ("> -1", True), ("<1e3", True)],
)
def test_comparisons(comparison, holds):
    """A sign that is taken for another; pass_rate is 0.4."""
    assert value_of(f"staged if pass_rate {comparison}") == (0.8 if holds else 0.0)


def test_components_are_told_even_behind_a_closed_gate():
    """A diagnostic that is missing from the answers whose term did not count, or two options under one name."""
    calls = []
    counted = FAKES | {"style": lambda looked_at: calls.append(looked_at) or Value(0.5)}
    text = "style*style + optional(count=2, normaliser=4) if passed and pass_rate > 0.5"
    result = evaluate(parse(text, counted), answer(Stage.RUNS))
    told = {name: value.value for name, value in result.components.items()}
    assert told == {"style": 0.5, "optional(normaliser=4, count=2)": 6.0, "pass_rate": 0.4}
    assert len(calls) == 1
    assert [str(leaf) for leaf in parse("1 if not staged > 0 else binary", FAKES).components] == [
        "staged",
        "binary",
    ]


# ---- spans ----


def test_spans_of_a_gate():
    """A gate that takes the places along unscaled, or that leaves places where nothing is paid."""
    spans = evaluate(parse("2*binary*style", FAKES), answer()).value.spans
    assert {(span.start, span.end): span.value for span in spans} == pytest.approx(
        {PLACES["binary"]: 2 * 0.3 * 0.5, PLACES["style"]: 2 * -0.5 * 0.9}
    )
    assert evaluate(parse("staged if passed", FAKES), answer(Stage.RUNS)).value == Value(0.0)
    assert evaluate(parse("0*staged", FAKES), answer()).value.spans == ()


def random_expression(rng, depth):
    """A text, and the same as a function of the components' values."""
    kind = rng.choice(["leaf", "leaf", "+", "-", "*", "/", "minus", "if"]) if depth else "leaf"
    if kind == "leaf":
        name = rng.choice(list(VALUES))
        return name, lambda v: v[name]
    text, function = random_expression(rng, depth - 1)
    if kind == "minus":
        return f"-({text})", lambda v: -function(v)
    if kind == "/":
        return f"({text}) / 4", lambda v: function(v) / 4
    other_text, other = random_expression(rng, depth - 1)
    if kind == "if":
        condition, holds = rng.choice([("passed", True), ("not runs", False), ("style > 0.6", False), ("parses", True)])
        chosen = function if holds else other
        return f"(({text}) if {condition} else ({other_text}))", chosen
    numbers = {
        "+": lambda v: function(v) + 0.5 * other(v),
        "-": lambda v: function(v) - 0.5 * other(v),
        "*": lambda v: function(v) * 0.5 * other(v),
    }
    return f"({text}) {kind} 0.5*({other_text})", numbers[kind]


def slope(function, name):
    """d function / d component, exact for squares."""
    up, down = VALUES | {name: VALUES[name] + 1e-3}, VALUES | {name: VALUES[name] - 1e-3}
    return (function(up) - function(down)) / 2e-3


def test_composition_keeps_total_and_places():
    """A composition that changes the total, or charges a place other than by how much the total hangs on it."""
    rng = random.Random(5)
    for _ in range(300):
        text, function = random_expression(rng, 3)
        expression = parse(text, FAKES)
        value = evaluate(expression, answer()).value
        assert value.value == pytest.approx(function(VALUES))
        assert value.rest + sum(span.value for span in value.spans) == pytest.approx(value.value)
        for name, place in PLACES.items():
            charged = sum(span.value for span in value.spans if (span.start, span.end) == place)
            assert charged == pytest.approx(LOSSES[name] * slope(function, name), abs=1e-5)


# ---- one tree, two texts ----


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("staged+0.20*style if passed", "staged + (0.2*style if passed)"),
        ("((staged + style)) if (not (passed or runs))", "(staged + style) if not (passed or runs)"),
        ("optional(count=2,normaliser=8.0, mode='a')", "optional(normaliser=8, count=2, mode='a')"),
        ("0.5*combined", "0.5*(0.7*binary + (0.3*style if passed))"),
        ("staged - (style - -3)/2 if passed else 0", "staged - ((style - -3)/2 if passed)"),
        ("staged if pass_rate>=.5 and (passed and runs)", "staged if pass_rate >= 0.5 and (passed and runs)"),
        ("staged if not (passed) and runs or parses", "staged if ((not passed) and runs) or parses"),
        ("staged if (pass_rate) > (0.5)", "staged if (pass_rate > 0.5)"),
        ("staged if passed else style if runs else binary", "staged if passed else (style if runs else binary)"),
    ],
)
def test_brackets_and_blanks_that_change_nothing(text, same):
    """A text that reads as another tree: an `if`, an `and` or an option that is bound to the wrong neighbour."""
    assert parse(text, FAKES) == parse(same, FAKES)


# ---- errors ----


@pytest.mark.parametrize(
    ("text", "character", "reason"),
    [
        ("", 1, "empty"),
        ("  ", 3, "empty"),
        ("0.6*stagd", 5, "unknown component 'stagd'; did you mean staged?"),
        ("unit_test", 1, "did you mean unit-test?"),
        ("staged + nan", 10, "unknown component 'nan'"),
        ("1e999*staged", 1, "too large"),
        ("1000*(1000*(2*staged))", 1, "multiply up"),
        ("style - staged/0.0000001", 9, "multiply up"),
        ("staged if passed else 1000*1000*staged*2", 23, "multiply up"),
        ("style - 1000*(staged if passed else 2000*staged)", 9, "multiply up"),
        ("True*staged", 1, "unknown component 'True'"),
        ("'a'*staged", 1, "a string is no reward"),
        ("2j*staged", 2, "an operator is missing before j"),
        ("0x10*staged", 2, "an operator is missing before x10"),
        ("1_0*staged", 2, "an operator is missing before _0"),
        ("01*staged", 2, "an operator is missing before 1"),
        ("staged/0", 8, "division by zero"),
        ("staged/style", 8, "only a number"),
        ("staged**2", 8, "* where a component or a number should be"),
        ("staged//2", 8, "/ where"),
        ("optional(8)", 10, "options are given by name"),
        ("optional(normalizer=8)", 10, "it has normaliser, count, mode; did you mean normaliser?"),
        ("staged(x=8)", 8, "it has none"),
        ("optional(normaliser='a')", 21, "needs a number"),
        ("optional(normaliser=1e999)", 21, "too large"),
        ("optional(normaliser=staged)", 21, "needs a number"),
        ("optional(count=1.5)", 16, "needs a whole number"),
        ("optional(mode=3)", 15, "needs a string"),
        ("optional(mode=-'a')", 15, "needs a string"),
        ("optional(count=1, count=2)", 19, "given twice"),
        ("optional(1=2)", 10, "options are given by name"),
        ("optional(count=1,)", 18, "options are given by name"),
        ("optional(count)", 10, "options are given by name"),
        ("optional(count=1", 9, "not closed"),
        ("optional(count=1 mode='a')", 18, "an operator is missing before mode"),
        ("combined(x=1)", 1, "has no options"),
        ("staged.real", 7, '"." is not in the language'),
        ("staged[0]", 7, '"[" is not in the language'),
        ("lambda: staged", 7, '":" is not in the language'),
        ("[staged for x in y]", 1, '"[" is not in the language'),
        ("(staged for x in y)", 9, "an operator is missing before for"),
        ("(x := staged)", 4, '":" is not in the language'),
        ("f'{staged}'", 1, "unknown component 'f'"),
        ("staged 'a'", 8, "an operator is missing"),
        ("*staged", 1, "* where a component or a number should be"),
        ("optional(*staged)", 10, "options are given by name"),
        ("optional(count=1)(mode='a')", 18, "an operator is missing before ("),
        ("pass_rate > 0.5", 11, "goes behind an if"),
        ("staged and style", 8, "go behind an if"),
        ("not passed", 1, "go behind an if"),
        ("staged + not passed", 10, "go behind an if"),
        ("passed + 1", 1, "passed is a condition; it goes behind an if"),
        ("staged if pass_rate > 0 < 2", 25, "one comparison at a time"),
        ("staged if 0.5 < pass_rate", 11, "begins with a component"),
        ("staged if pass_rate > style", 23, "ends with a number"),
        ("staged if pass_rate == 1", 11, "compare it with a number"),
        ("staged if style", 11, "compare it with a number, as in style > 0.5"),
        ("staged if pased", 11, "unknown condition 'pased'"),
        ("staged if 1", 11, "no condition"),
        ("staged if", 10, "ends where"),
        ("if passed", 1, "if where"),
        ("staged if passed else", 22, "ends where"),
        ("staged else style", 8, "an else without if"),
        ("0.5*style if passed + 0.4*security if passed", 21, "put the conditional into brackets"),
        ("0.5*style if passed if runs", 21, "a second if"),
        ("style if passed + binary", 17, "put the conditional into brackets"),
        ("style if passed*binary", 16, "put the conditional into brackets"),
        ("style if passed else binary + staged", 29, "put the conditional into brackets"),
        ("style if passed else binary + staged if runs", 29, "put the conditional into brackets"),
        ("(style if passed) + stagd", 21, "unknown component"),
        ("(staged", 1, "not closed"),
        ("staged + (style*(binary)", 10, "not closed"),
        ("staged)", 7, "no bracket is open"),
        ("staged + ()", 11, ") where"),
        ("staged style", 8, "an operator is missing before style"),
        ("0.5staged", 4, "an operator is missing"),
        ("staged +", 9, "ends where"),
        ("staged, style", 7, ", is for options"),
        ("x = staged", 1, "unknown component 'x'"),
        ("staged = x", 8, "= is for options"),
        ("staged; style", 7, '";" is not in the language'),
        ("staged # x", 8, '"#" is not in the language'),
        ("staged\n", 7, '"\\n" is not in the language'),
        ("staged\0", 7, '"\\u0000" is not in the language'),
        ("st\u00e4ged", 3, '"\\u00e4" is not in the language'),
        ("staged*\uff11", 8, "is not in the language"),
        ("\ud800", 1, "is not in the language"),
        ("3", 1, "no component in it"),
        ("1 if passed", 1, "no component in it"),
        ("-" * 900 + "staged", 62, "nested too deep"),
        ("staged if " + "not " * 900 + "passed", None, "nested too deep"),
        ("staged if " + "(" * 900 + "passed" + ")" * 900, None, "nested too deep"),
        ("staged if passed else " * 900 + "style", None, "nested too deep"),
        ("(" * 300 + "staged" + ")" * 300, None, "nested too deep"),
        ("(" * 10_000, 62, "nested too deep"),
        ("9" * 5000 + "*staged", 1, "too large"),
        ("staged -> binary", 8, "-> is for the phases of a run"),
        ("staged@0:5", 7, "@ is for the phases of a run"),
        ("staged when x > 1", 8, "when is for the phases of a run"),
    ],
)
def test_bad_text_is_one_line_that_shows_the_character(text, character, reason):
    """A message that points at Python's text, not the user's; a line break or a lone surrogate that tears it up."""
    with pytest.raises(ExpressionError) as caught:
        parse(text, FAKES)
    message = str(caught.value)
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 1400
    assert reason in caught.value.reason
    if character is not None:
        assert caught.value.position == character - 1
        assert f": at character {character}: " in message


OPERANDS = ["staged", "style", "unit-test", "optional(count=2)", "optional(mode='x')", "combined", "0.5", "2", "passed"]
OPERATORS = [" + ", "-", "*", "/", " if ", " else ", " and ", " > ", "("]
NOISE = [
    *(
        "(",
        ")",
        ",",
        "=",
        "<",
        ">=",
        " not ",
        "runs",
        "1e9",
        "nope",
        "@",
        "->",
        ".",
        "'",
        '"',
        "[",
        "{",
        "\\",
        "#",
        "\n",
    ),
    *("\0", ":=", "lambda", "__import__('os')"),
]


def test_random_texts_are_read_or_refused_and_never_run(monkeypatch):
    """Another exception than the one that callers catch, or a text that gets something executed while it is read."""

    def forbidden(*args, **kwargs):
        raise AssertionError("executed")

    def untouched(answer, *, normaliser: float = 8.0, count: int = 1, mode: str = "exp"):
        raise AssertionError("executed")

    monkeypatch.setattr(builtins, "eval", forbidden)
    monkeypatch.setattr(builtins, "exec", forbidden)
    unexecuted = dict.fromkeys(VALUES, forbidden) | {"optional": untouched}
    rng, positions, read = random.Random(6), [], 0
    for _ in range(2000):
        slots = [rng.choice((OPERANDS, OPERATORS)[i % 2] if rng.random() < 0.9 else NOISE) for i in range(9)]
        text = "".join(slots[: rng.randint(1, 9)])
        try:
            parse(text, unexecuted)
        except ExpressionError as error:
            positions.append(error.position / max(1, len(text)))
        else:
            read += 1
    assert min(positions) >= 0
    assert max(positions) <= 1
    assert read > 100  # the alphabet does make sentences


# ---- the real components ----


def test_every_component_has_constants_for_options():
    """An option that no text can set: one without a default, or with one that is no number and no string."""
    for function in COMPONENTS.values():
        assert all(type(default) in (float, int, str) for default in option_defaults(function).values())


def test_papers_by_hand():
    """A weight of a paper that is another, or `dense-sum` in which a term is not summed over tokens."""

    def term(pays):
        def component(answer, *, per_token: float = 0):
            return Value(pays + 10 * per_token)

        return component

    fakes = FAKES | {"sync": term(1.0), "lint": term(0.5), "dataflow": term(0.25), "task": term(-0.5)}
    values = {name: evaluate(parse(name, fakes), answer()).value.value for name in NAMED}
    dense = 0.1 + 0.05 + 0.025 - 0.35
    by_hand = {"unit-test": 0.9, "ruff-only": 0.5, "combined": 0.78, "securecode": 0.58}
    assert values == pytest.approx(by_hand | {"dense": dense, "dense-sum": dense + 10})
    assert [str(leaf) for leaf in parse("dense").components] == ["sync", "lint", "dataflow", "task"]


def test_nothing_is_paid_for_a_text_that_does_not_parse():
    """The published 0.4 for any garbage: a paper's reward that an unparseable program earns."""
    garbage = answer(Stage.SYNTAX_ERROR, analysis=Analysis(parses=False, error=(1, 0)))
    for name in ("unit-test", "ruff-only", "combined", "securecode", "dense"):
        assert evaluate(parse(name), garbage).value.value <= 0, name
