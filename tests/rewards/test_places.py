"""From lines and columns to characters: where a program failed, what a linter found."""

import dataclasses

import pytest

from rewards.answer import Analysis, Answer, Finding, Span, Value
from rewards.places import blame, fault, finding_range, line_range, line_runs, per_token_value, split_lines
from sandbox import Outcome, Stage

HEAD = "Sure é:\n"  # what a program may stand behind; its length must be added to every place


def answer(program, head=HEAD, tail="\n```", stage=Stage.OUTPUT, **fields):
    """An answer whose outcome has the given fields, and else nothing that matters here."""
    values = {field.name: None for field in dataclasses.fields(Outcome)}
    of_answer = {key: fields.pop(key) for key in ("token_starts",) if key in fields}
    outcome = Outcome(**values | {"stage": stage, "passed": 0, "total": 1, "tests": ()} | fields)
    place = (len(head), len(head) + len(program))
    return Answer(head + program + tail, place, outcome, analysis=Analysis(True), **of_answer)


def at(answer, place):
    """The text at a place."""
    return None if place is None else answer.text[slice(*place)]


# Lines and columns --------------------------------------------------------------------------------------------


def test_lines_end_where_python_says():
    """str.splitlines: a form feed or U+2028 in a string would shift every place behind it by a line."""
    source = "a\r\nb\rc\x0c\u2028\x85\x0bd\n\ne"
    assert [source[a:b] for a, b in split_lines(source)] == ["a", "b", "c\x0c\u2028\x85\x0bd", "", "e"]
    assert list(split_lines("a\n")) == [(0, 1), (2, 2)]
    assert list(split_lines("")) == [(0, 0)]


def test_line_range():
    """The program's offset forgotten, indentation or the line end charged, or a line that is not there."""
    program = answer("if x:\r\n \t é = 1\r\n\r\n  b")
    texts = [at(program, line_range(program, line)) for line in (1, 2, 3, 4, 5, 0)]
    assert texts == ["if x:", "é = 1", "", "b", None, None]
    assert line_range(program, 3) == (len(HEAD) + 17, len(HEAD) + 17)


def test_line_runs():
    """Rows that lose their line end, so that the tokens of the newlines are nobody's, or a missing last row."""
    program = answer("a\n  b\r\nc\nd")
    runs = line_runs(program, {2, 3})
    assert [(at(program, run[:2]), run[2]) for run in runs] == [("a\n", False), ("  b\r\nc\n", True), ("d", False)]
    assert line_runs(answer("", head=""), {1}) == []


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ((1, 4, 1, 6), "ü1"),  # columns are characters, not bytes
        ((2, 2, 3, 1), "b\n "),
        ((2, 2, 2, 99), "b"),  # beyond the line
        ((2, 3, 2, 3), "b"),  # no extent: the whole line
        ((2, 99, 2, 99), "b"),
        ((4, 0, 4, 0), None),  # the end of the file
        ((9, 0, 9, 1), None),
        ((3, 0, 9, 1), None),
    ],
)
def test_finding_range(place, text):
    """A column in bytes, a place that runs into the next line, or a span that holds no character."""
    program = answer("é = ü1\n  b\n c\n")
    assert at(program, finding_range(program, Finding("E1", *place, "", ""))) == text


# Blame --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"stage": Stage.SYNTAX_ERROR, "error_type": "SyntaxError", "line": 2, "column": 11}, "return y"),
        ({"stage": Stage.PARSES, "error_type": "NameError", "line": 3}, "f(x)"),
        ({"error_type": "ValueError", "line": 2}, "return y"),
        ({"error_type": "AssertionError", "line": 1}, "def f(x):"),  # the program's own assert
        ({"stage": Stage.SYNTAX_ERROR, "error_type": "SyntaxError", "line": 5}, "f(x)"),  # past the last character
        ({"error_type": "AssertionError"}, None),  # a wrong value
        ({"error_type": "RecursionError", "line": 2}, None),
        ({"error_type": "MemoryError", "line": 2}, None),
        ({"error_type": "Timeout"}, None),
        ({"error_type": "Tampering", "line": 2}, None),
        ({"error_type": "NameError", "line": 99}, None),  # code that the program compiled itself
        ({"stage": Stage.PASSED, "line": 2}, None),
    ],
)
def test_fault(fields, text):
    """An innocent line that pays for a wrong value or for the whole, or a guilty one that does not."""
    program = answer("def f(x):\n    return y\nf(x)\n\n", **fields)
    assert at(program, fault(program)) == text


def test_blame_charges_what_is_lacking():
    """The loss counted from 0 instead of from the most, given a positive sign, or charged when nothing is lacking."""
    program = answer("a\nb", error_type="NameError", line=2)
    here = (len(HEAD) + 2, len(HEAD) + 3)
    assert blame(program, 0.6, most=1.0) == Value(0.6, (Span(*here, 0.6 - 1.0),))
    assert blame(program, 0.6, most=1.0).rest == pytest.approx(1.0)
    assert blame(program, 1.0, most=1.0) == Value(1.0)
    assert blame(answer("a\nb", error_type="Timeout"), 0.6, most=1.0) == Value(0.6)


# Values with a place ------------------------------------------------------------------------------------------


def test_per_token_value():
    """Tokens counted that begin outside, or the amount paid once for a place instead of once for a token."""
    tokens = answer("abcdef", head="", token_starts=(0, 2, 2, 3, 5))
    assert per_token_value(tokens, [(0, 2, 1.0), (2, 5, -1.0), (6, 6, 9.0)]) == Value(
        -2.0, (Span(0, 2, 1.0), Span(2, 5, -3.0))
    )
    with pytest.raises(ValueError, match="token_starts"):
        per_token_value(answer("x"), [])
