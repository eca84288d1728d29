"""From lines and columns to characters: where a program failed, what a linter found, which lines nobody executed."""

import dataclasses

import pytest

from rewards.answer import Analysis, Answer, Finding, Span, Value
from rewards.places import (
    LARGEST,
    blame,
    defines_entry_point,
    fault,
    finding_range,
    line_range,
    line_runs,
    parse,
    per_token_value,
    split_lines,
    unexecuted,
)
from sandbox import Outcome, Sandbox, Stage, Task

HEAD = "Sure é:\n"  # what a program may stand behind; its length must be added to every place


def answer(program, head=HEAD, tail="\n```", stage=Stage.OUTPUT, **fields):
    """An answer whose outcome has the given fields, and else nothing that matters here."""
    values = {field.name: None for field in dataclasses.fields(Outcome)}
    of_answer = {key: fields.pop(key) for key in ("entry_point", "reference", "token_starts") if key in fields}
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
    texts = [at(program, line_range(program, *lines)) for lines in [(1,), (2,), (3,), (4,), (2, 4), (5,), (0,), (4, 5)]]
    assert texts == ["if x:", "é = 1", "", "b", "é = 1\r\n\r\n  b", None, None, None]
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


# What the program says ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("def f(x): return x", True),
        ("async def f(x): return x", True),
        ("a, (f, b) = g", True),
        ("f: int = 1", True),
        ("from m import g as f", True),
        ("import f.g", True),
        ("class f: pass", False),
        ("f: int", False),
        ("import g.f", False),
        ("f(1)", False),
        ("f.x = f[0] = 1", False),
        ("class A:\n    def f(x): return x", False),
        ("# def f(x): return x\n'def f(x)'", False),
        ("", False),
        ("def f(x): return (", False),
        ("def f(x): return 1\n" + "#" * LARGEST, False),
    ],
)
def test_defines_entry_point(program, expected):
    """A comment, a method or a class of that name that is paid for having no findings, or a lambda that is not."""
    assert defines_entry_point(answer(program, entry_point="f", reference="def f(x): return x")) is expected


def test_a_class_counts_where_one_was_asked_for():
    """A problem whose solution is a class, for which no program is ever paid."""
    program = "class f: pass"
    assert defines_entry_point(answer(program, entry_point="f", reference="x = 1\nclass f:\n    y = 1"))
    assert defines_entry_point(answer(program, entry_point="f"))
    assert not defines_entry_point(answer(program, entry_point="f", stage=Stage.SYNTAX_ERROR))


def test_whole_programs_must_say_something():
    """Where no entry point is named, an empty program that defines it."""
    silent = ["", "# comment\n", "'docstring'\n1\n...\npass\n"]
    assert not any(defines_entry_point(answer(program)) for program in silent)
    assert defines_entry_point(answer("'docstring'\nprint(1)\n"))


@pytest.mark.parametrize("source", ["(" * 5000, "-" * 20_000 + "1", "1+" * 20_000 + "1", "x\0", "'\ud800'", "def"])
def test_hostile_text_is_not_parsed(source):
    """A program that ends the learner by what its parser raises: MemoryError, RecursionError, ValueError."""
    assert parse(source) is None


# What was executed --------------------------------------------------------------------------------------------

# Programs, a call, and (marked with "#!") the lines that nobody executes, read off by eye.
EXECUTED = {
    "branches": """\
def f(x):
    for i in range(
        x
    ):
        t = i
    else:
        t = 5
    if x == 9:
        t = 1 #!
    elif t:
        # a comment #!
        t = 2
    elif t == 7: #!
        t = 3 #!
    else: #!
        t = 4 #!
    while False:
        t = 6 #!
    else:
        t = 8
    return [
        j
        for j in range(t)
    ]
""",
    "try": """\
def f(x):
    try:
        y = [][x]
        y = 1 #!
    except KeyError:
        y = 2 #!
    except (
        IndexError,
    ):
        y = 3
    except: #!
        y = 4 #!
    else: #!
        y = 5 #!
    finally:
        z = 6
    return y
""",
    "match": """\
def f(x):
    match [
        x
    ]:
        case [1]:
            return 1 #!
        case [
            2
        ]:
            return 2
        case _: #!
            return 3 #!
""",
    "functions": '''\
"""Module.""" #!
import functools
 #!
@functools.lru_cache(
    maxsize=None,
)
def f(
    x,
):
    """A text #!
    of two lines.""" #!
    # comment #!
    global n
    y: int
    text = """
# not a comment

    """
    def g():
        nonlocal x #!
        return x #!
    h = lambda: (
        g()
    )
    return x
class A:
    """Doc.""" #!
    y: int
    def m(self): return 1
''',
    "one line": """\
def f(x):
    if x == 1: return 1
    else: return 2
    return 3 #!
""",
    "exception": "def f(x):\n    y = x[0]\n    return y #!\n",
}


def test_unexecuted():
    """An `else:` that is paid for what it did not do, a statement cut in two, or a header that is never executed."""
    tasks = [Task(program, ("f(2)",), "f", want_lines=True) for program in EXECUTED.values()]
    with Sandbox(slots=1) as judge:
        outcomes = judge.run(tasks)
    for (name, program), outcome in zip(EXECUTED.items(), outcomes, strict=True):
        marked = [line for line in program.splitlines(keepends=True) if line.endswith("#!\n")]
        judged = Answer(HEAD + program, (len(HEAD), len(HEAD) + len(program)), outcome)
        assert "".join(at(judged, place) for place in unexecuted(judged)) == "".join(marked), name


def test_unexecuted_tells_nothing_apart():
    """All credit withheld where the program never ran, or all given because nobody asked for the lines."""
    assert unexecuted(answer("x = 1\n", lines=())) == []
    assert unexecuted(answer("x = (\n", lines=(1,))) == []
    assert unexecuted(answer("x = 1\n\n#\ny = 2", lines=(1,))) == [(len(HEAD) + 6, len(HEAD) + 14)]
    with pytest.raises(ValueError, match="want_lines"):
        unexecuted(answer("x = 1\n"))


# Values with a place ------------------------------------------------------------------------------------------


def test_per_token_value():
    """Tokens counted that begin outside, or the amount paid once for a place instead of once for a token."""
    tokens = answer("abcdef", head="", token_starts=(0, 2, 2, 3, 5))
    assert per_token_value(tokens, [(0, 2, 1.0), (2, 5, -1.0), (6, 6, 9.0)]) == Value(
        -2.0, (Span(0, 2, 1.0), Span(2, 5, -3.0))
    )
    with pytest.raises(ValueError, match="token_starts"):
        per_token_value(answer("x"), [])
