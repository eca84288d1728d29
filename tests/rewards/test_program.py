"""What a program's text says: whether it parses, and whether it defines what was asked."""

import dataclasses

import pytest

from rewards.answer import Answer
from rewards.program import LARGEST, defines_entry_point, parse
from sandbox import Outcome, Stage


def answer(program, stage=Stage.OUTPUT, **fields):
    """An answer that is a program, of which only the text and the stage matter."""
    values = {field.name: None for field in dataclasses.fields(Outcome)}
    return Answer(program, (0, len(program)), Outcome(**values | {"stage": stage}), **fields)


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
