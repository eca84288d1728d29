"""Which parts of a program no test executed, in the real sandbox."""

import dataclasses

import pytest

from rewards.answer import Answer
from rewards.executed_lines import unexecuted
from sandbox import Outcome, Sandbox, Stage, Task

HEAD = "Sure é:\n"  # what a program may stand behind; its length must be added to every place


def answer(program, **fields):
    """An answer whose outcome has the given fields, and else nothing that matters here."""
    values = {field.name: None for field in dataclasses.fields(Outcome)}
    outcome = Outcome(**values | {"stage": Stage.OUTPUT} | fields)
    return Answer(HEAD + program, (len(HEAD), len(HEAD) + len(program)), outcome)


def at(answer, place):
    """The text at a place."""
    return answer.text[slice(*place)]


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
