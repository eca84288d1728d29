"""The four terms of the dense reward: sync, lint, dataflow and task, with fixed totals and as sums over tokens."""

import dataclasses
import math

import pytest

from rewards.answer import Analysis, Answer, Finding
from rewards.dense.dataflow import MOST_NODES, RESULT, dataflow, edges, match
from rewards.dense.lint import lint
from rewards.dense.sync import sync
from rewards.dense.task import task
from sandbox import Outcome, Stage

OPEN, CLOSE = "```python\n", "```"
GOOD = "def f(a, b):\n    c = a + b\n    return c\n"
BAD = "def f(a):\n    x = = 1\n"  # the parser gives up at the second `=`, line 2, column 8
ERROR = len(OPEN) + 18


def answer(program, fenced=True, findings=(), passed=0, at=None, failed="", **fields):
    """A fenced program with a token for each character. `at`: line and column at which it does not parse."""
    values = {field.name: None for field in dataclasses.fields(Outcome)}
    stage = Stage.SYNTAX_ERROR if at else Stage.OUTPUT
    line, column = at or (None, None)
    known = {"stage": stage, "passed": passed, "total": 4, "tests": (), "line": line, "column": column}
    text = f"Sure.\n{OPEN}{program}{CLOSE}\nDone." if fenced == "prose" else f"{OPEN}{program}{CLOSE}"
    text = text if fenced else program
    start = text.index(OPEN) + len(OPEN) if fenced else 0
    analysis = Analysis(not at, style=tuple(Finding("F1", row, 0, last, 1, "", "") for row, last in findings))
    if failed:
        analysis = dataclasses.replace(analysis, failed=failed)
    starts = tuple(range(len(text)))
    fields = {"entry_point": "f", "analysis": analysis, "token_starts": starts, "tokens": len(text)} | fields
    return Answer(text, (start, start + len(program)), Outcome(**values | known), fenced=bool(fenced), **fields)


def spans(value):
    return [(span.start, span.end, span.value) for span in value.spans]


def places(answer, value):
    """The spans as (text, value for each character)."""
    return [(answer.text[s.start : s.end], pytest.approx(s.value / (s.end - s.start))) for s in value.spans]


# Sync ---------------------------------------------------------------------------------------------------------


def test_sync_totals():
    """A long program paid more than a short one, the fence left out, or blame before the place of the error."""
    good, bad = answer(GOOD, fenced="prose"), answer(BAD, at=(2, 8))
    assert (sync(good).value, places(good, sync(good))) == (1.0, [(OPEN + GOOD + CLOSE, 1 / (len(GOOD) + 13))])
    assert (sync(bad).value, spans(sync(bad))) == (-1.0, [(ERROR, ERROR + 4, -1.0)])
    assert spans(sync(answer(GOOD, fenced=False))) == [(0, len(GOOD), 1.0)]


def test_sync_sums():
    """Markers, program or prose that earn another's amount; tokens after the error that are paid."""
    good, bad = answer(GOOD, fenced="prose"), answer(BAD, at=(2, 8))
    markers = [("```python", 2.0), ("```", 2.0)]
    assert places(good, sync(good, per_token=1)) == [*markers, (GOOD, 1.0)]
    assert sync(good, per_token=1).value == 9 * 2 + 3 * 2 + len(GOOD)
    assert places(bad, sync(bad, per_token=1)) == [*markers, ("def f(a):\n    x = ", 1.0), ("= 1\n", -1.0)]
    assert sync(answer(GOOD, fenced=False), per_token=1).value == len(GOOD)


@pytest.mark.parametrize("per_token", [0, 1])
@pytest.mark.parametrize("program", ["", "\n\n", "# f\n", "'f'\npass\n", GOOD + "#" * 70_000])
def test_sync_of_nothing_is_nothing(program, per_token):
    """An empty text, which parses, is paid for its grammar; or a megabyte of comments is parsed."""
    assert (sync(answer(program), per_token=per_token).value, sync(answer(program)).spans) == (0.0, ())


@pytest.mark.parametrize(
    ("program", "at", "blamed"),
    [
        ("f(x\n\n", (1, 1), "(x\n\n"),
        ("f(\n\n", (3, 0), "(\n\n"),  # the end of the file: what holds the last character
        ("f(\n\n", (9, 0), "(\n\n"),
        ("f(\n x y", (2, None), " x y"),
        ("-" * 9, (None, None), "-" * 9),  # too deep: Python names no place
    ],
)
def test_sync_always_has_a_place_for_an_error(program, at, blamed):
    """An error at the end of the file, or without a line, whose loss falls on no token."""
    program = answer(program, at=at)
    assert [program.text[span.start : span.end] for span in sync(program).spans] == [blamed]


# Lint ---------------------------------------------------------------------------------------------------------


def test_lint_totals():
    """Another curve, an ignored normaliser, or the loss on rows without a finding."""
    clean, two = answer(GOOD), answer(GOOD, findings=[(2, 2), (2, 2)])
    begin, end = clean.program
    assert (lint(clean).value, spans(lint(clean))) == (1.0, [(begin, end, 1.0)])
    s = math.exp(-2 / 5)
    assert lint(two).value == pytest.approx(2 * s - 1)
    assert spans(lint(two)) == [(begin, end, s), (begin + 13, begin + 27, pytest.approx(s - 1))]
    assert lint(two).rest == pytest.approx(0.0)
    assert lint(two, normaliser=2).value == pytest.approx(2 * math.exp(-1) - 1)
    with pytest.raises(ValueError, match="normaliser"):
        lint(two, normaliser=0)


def test_lint_sums():
    """A row charged once for each finding, a finding of two rows on one of them, or fences that are linted."""
    program = answer(GOOD, findings=[(2, 2), (2, 3)])
    first, second = "def f(a, b):\n", "    c = a + b\n    return c\n"
    value = lint(program, per_token=1)
    assert places(program, value) == [(first, 1.0), (second, -1.0)]
    assert value.value == len(first) - len(second)


GARBAGE = {
    "empty": answer(""),
    "comment": answer("# f\n"),
    "another function": answer("def g(): pass\n"),
    "syntax": answer(BAD, at=(2, 8)),
    "unknown": answer(GOOD, failed="crash"),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_lint_ranks_garbage_last(garbage):
    """A text without code, or without findings because nobody could look, above the worst honest program."""
    assert lint(garbage).value == -1.0 < lint(answer(GOOD, findings=[(1, 1)] * 40)).value
    assert lint(garbage, per_token=1).value == -(garbage.program[1] - garbage.program[0])


def test_lint_needs_an_analysis():
    """A program that nobody looked at, paid as one in which nothing was found."""
    with pytest.raises(ValueError, match="lint"):
        lint(answer(GOOD, analysis=None))


# Data flow ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # a, b are 0, 1; what else is bound follows in order of appearance
        ("c = a + b\n    return c", {(2, (0, 1)), (RESULT, (2,))}),
        ("c = d = len(b) + a\n    return 1", {(2, (0, 1)), (3, (0, 1))}),
        ("a += b\n    (a, b), *c = (b, a), a", {(0, (0, 1)), (0, (1,)), (1, (0,)), (2, (0,))}),
        ("for c, d in a: pass\n    with b as e.x: pass\n    e: int = c", {(2, (0,)), (3, (0,)), (4, (1,)), (4, (2,))}),
        ("a[b].c = b\n    a.append(b)\n    yield a", {(0, (1,)), (RESULT, (0,))}),
        ("return [c for c in a if (d := b)]", {(2, (0,)), (3, (1,)), (RESULT, (0, 1, 2))}),
        ("return unknown(1)", set()),
        ("return a\n    b = a", {(RESULT, (0,))}),
        ("if 0: b = a\n    else: a = b\n    while 0: b = a\n    x = a if 1 else b", {(0, (1,)), (2, (0,))}),
        ("while 1:\n        a = b\n        break\n        b = a", {(0, (1,))}),
        (
            "return g(a, K)\ndef g(x): return K + x\nK = 1\nU = K\ndef u(): return U",
            {(RESULT, (0, 2)), (RESULT, (2, 3))},
        ),
        ("return a\nclass f: pass\ndef f(z, y): return y", {(RESULT, (1,))}),
    ],
)
def test_edges(body, expected):
    """A source that is lost, a name of Python's own that counts, or flow that is read off code nobody reaches."""
    assert edges(f"def f(a, b):\n    {body}\n", "f") == expected


def test_edges_of_a_whole_program():
    """A program without entry point that has no flow, or functions that it never calls and that count."""
    program = "n = int(input())\nm = g(n)\ndef g(x): return x\ndef u(x):\n    y = x\nprint(m)\n"
    assert edges(program, "") == {(1, (0,)), (RESULT, (2,))}


def test_match_by_hand():
    """The share taken of the wrong set, 0.5 not taken off, or a negative reward for a bad match."""
    reference = "def f(x, y):\n    s = x + y\n    t = s * x\n    return t\n"  # three edges
    same = "def f(p, q):\n    u = q + p\n    v = p * u\n    return v\n"
    two = "def f(p, q):\n    u = p + q\n    v = u\n    return v\n"
    assert [match(answer(p, reference=reference)) for p in (same, two, GOOD)] == [1.0, 2 / 3, 1 / 3]
    values = [dataflow(answer(p, reference=reference)) for p in (same, two, GOOD)]
    assert [value.value for value in values] == pytest.approx([0.5, 2 / 3 - 0.5, 0.0])
    assert spans(values[0]) == [(len(OPEN), len(OPEN + same), 0.5)]
    assert spans(values[2]) == []
    assert dataflow(answer(same, reference=reference), per_token=1).value == 0.5 * len(same)


PADDING = {
    "twice": GOOD.replace("    c = a + b\n", "    c = a + b\n" * 2),
    "dead": GOOD + "    a = b\n    b = a\n    return a, b\n",
    "never called": "def u(x):\n    y = x\n    return x, y\n" + GOOD,
    "at the top": "u = 1\nv = u\n" + GOOD + "w = v\nw\n",
    "used": GOOD.replace("    return", "    a\n    b\n    c\n    return"),
    "defined before": GOOD.replace("+ b", "") + GOOD,
}


@pytest.mark.parametrize("padding", PADDING.values(), ids=PADDING)
def test_padding_changes_no_match(padding):
    """Lines that do nothing, and buy edges that the reference has, too."""
    reference = GOOD.replace("return c", "a = c\n    b = a\n    return a, b")
    assert match(answer(padding, reference=reference)) == match(answer(GOOD, reference=reference)) == 1 / 4
    assert match(answer(padding, reference=GOOD)) == 1.0


def test_all_edges_are_no_match():
    """A text with all edges that there are: the published share, of the reference's edges alone, would be 1."""
    sink = "def f(a, b, c):\n" + "".join(f"    {x} = {y}\n" for x in "abc" for y in "abc") + "    return c\n"
    reference = "def f(a, b, c):\n    a = b\n    return c\n"
    assert edges(reference, "f") < edges(sink, "f")
    assert dataflow(answer(sink, reference=reference)).value == 0.0


@pytest.mark.parametrize(
    "program",
    [
        "def f(a): return " + "-" * 990 + "a",
        "f = " + "(" * 5000,
        "def f(a): return [" + "a," * MOST_NODES + "]",
        "def f(a): return a\n" + "#" * 70_000,
        "",
        "f = '\ud800'",
    ],
    ids=["deep", "brackets", "nodes", "large", "empty", "surrogate"],
)
def test_hostile_programs_have_no_flow(program):
    """A program that ends the learner, or holds it up, because it is compared with the reference."""
    assert dataflow(answer(program, reference="def f(a): return a")).value == 0.0


def test_dataflow_pays_for_what_compiles():
    """A `return` outside of a function: it has a tree, and does not compile. Or a missing reference taken for empty."""
    assert dataflow(answer(GOOD, reference=GOOD)).value == 0.5
    assert dataflow(answer(GOOD + "return 1\n", at=(4, 0), reference=GOOD)).value == 0.0
    with pytest.raises(ValueError, match="no reference"):
        dataflow(answer(GOOD))


# Task ---------------------------------------------------------------------------------------------------------


def test_task_totals():
    """Partial success that is not paid, failure that costs a long program more, or a place outside the program."""
    for passed, expected in [(4, 1.0), (1, 0.25), (0, -0.3)]:
        program = answer(GOOD, passed=passed, analysis=None)
        assert spans(task(program)) == [(*program.program, expected)]
        assert task(program).value == expected
    assert (task(answer("")).value, task(answer("")).spans) == (-0.3, ())


def test_task_sums():
    """Failure that is charged to rows with a finding or behind the error, or success that is not paid there."""
    program = answer(GOOD, findings=[(2, 2)], passed=2)
    assert places(program, task(program, per_token=1)) == [(GOOD, 0.5)]
    program = answer(GOOD, findings=[(2, 2)])
    assert places(program, task(program, per_token=1)) == [("def f(a, b):\n", -0.3), ("    return c\n", -0.3)]
    program = answer(BAD + "f(1)\nf(2)\n", at=(2, 8), findings=[(3, 3)])
    assert places(program, task(program, per_token=1)) == [("def f(a):\n    x = ", -0.3)]
    with pytest.raises(ValueError, match="task"):
        task(answer(GOOD, analysis=None), per_token=1)


# The two forms ------------------------------------------------------------------------------------------------

TERMS = [sync, lint, dataflow, task]


@pytest.mark.parametrize("term", TERMS)
def test_only_the_sum_grows_with_length(term):
    """Blank lines and comments that pay in the form that is said to be of fixed totals."""
    short, long = (answer(GOOD + tail, passed=2, reference=GOOD) for tail in ("", "\n# and so on" * 99))
    assert term(long).value == term(short).value > 0
    assert term(long, per_token=1).value > 2 * term(short, per_token=1).value


@pytest.mark.parametrize("term", TERMS)
def test_per_token_is_a_switch(term):
    """A number between the forms that silently means one of them, or a sum over tokens that nobody knows."""
    with pytest.raises(ValueError, match="per_token 0.5"):
        term(answer(GOOD, reference=GOOD), per_token=0.5)
    with pytest.raises(ValueError, match="token_starts"):
        term(answer(GOOD, reference=GOOD, token_starts=()), per_token=1)
