"""A program whose beginning stood in the prompt: the completion goes on from a prefix, and both are executed.

The oracle is the same program written by the model whole: values must be equal, and places too, as far as they lie in
the completion.
"""

import dataclasses

import pytest

from rewards import expression
from rewards.answer import Analysis, Answer, Finding, Span
from rewards.components.findings import is_payable
from rewards.components.simulator import World
from rewards.dense.lint import lint
from rewards.dense.sync import sync
from rewards.executed_lines import unexecuted
from rewards.places import finding_range, line_range, line_runs
from sandbox import Outcome, Stage, Verdict

STUB = 'import os\n\n\ndef f(a, b):\n    """Adds."""\n'
BODY = "    c = a + b\n\n    if c:\n        x = 1\n    return c\n"
SOURCE = STUB + BODY
CUTS = (len(STUB), 0, 4, len(STUB) - 1, len(STUB) + 2, len(STUB) + 8, len(STUB) + 14, SOURCE.index("x = 1"))

STYLE = (
    Finding("F401", 1, 7, 1, 9, "style", ""),
    Finding("E1", 3, 0, 3, 0, "style", ""),  # an empty line of the stub
    Finding("E2", 5, 4, 6, 7, "style", ""),  # from the stub into the body
    Finding("F841", 9, 8, 9, 9, "bug", ""),
    Finding("W1", 7, 0, 7, 0, "style", ""),
    Finding("W2", 10, 12, 10, 12, "style", ""),
)
SECURITY = tuple(
    Finding("B1", line, 4, line, 9, severity, "", confidence="HIGH", cwe=78)
    for line, severity in ((1, "MEDIUM"), (6, "LOW"), (9, "MEDIUM"))
)
OUTCOMES = {
    "passed": {"stage": Stage.PASSED, "passed": 2},
    "one test": {"stage": Stage.PARTIAL, "passed": 1},
    "raises in the stub": {"stage": Stage.PARSES, "error_type": "ImportError", "line": 1},
    "raises": {"stage": Stage.RUNS, "error_type": "NameError", "line": 6},
    "raises far down": {"stage": Stage.RUNS, "error_type": "NameError", "line": 9},
    "blank line": {"stage": Stage.RUNS, "error_type": "NameError", "line": 7},
    "syntax": {"stage": Stage.SYNTAX_ERROR, "error_type": "SyntaxError", "line": 6, "column": 8},
    "syntax in the stub": {"stage": Stage.SYNTAX_ERROR, "error_type": "SyntaxError", "line": 4, "column": 3},
    "syntax nowhere": {"stage": Stage.SYNTAX_ERROR, "error_type": "SyntaxError"},
}
VARIANTS = [(name, {}) for name in expression.COMPONENTS]
VARIANTS += [(name, {"per_token": 1}) for name in ("sync", "lint", "dataflow", "task")]
VARIANTS += [("security_cwe", {"low": 0.1}), ("length", {"buffer": 4})]


def answers(cut, fields):
    """The program as a completion of its own, and cut into prefix and completion; with the same tokens, of which the
    prefix has none."""
    values = {field.name: None for field in dataclasses.fields(Outcome)} | {"passed": 0, "total": 2}
    passed = fields.get("passed", 0)
    words = ("passed",) * passed + ("wrong",) * (2 - passed)
    known = {"tests": tuple(map(Verdict, words)), "lines": (1, 4, 6, 8, 10)}
    outcome = Outcome(**values | known | fields)
    starts = tuple(range(cut, len(SOURCE), 3))
    shared = {
        "outcome": outcome,
        "entry_point": "f",
        "reference": "def f(p, q):\n    r = p + q\n    return r\n",
        "analysis": Analysis(outcome.stage != Stage.SYNTAX_ERROR, None, STYLE, SECURITY),
        "peers": (outcome, outcome),
        "worlds": (World.SUCCESS,),
        "tokens": len(starts),
        "budget": 40,
    }
    whole = Answer(SOURCE, (0, len(SOURCE)), token_starts=starts, **shared)
    head = "So:\n"  # what stands before a program moves every place by its length
    moved = tuple(start - cut + len(head) for start in starts)
    place = (len(head), len(head) + len(SOURCE) - cut)
    return (
        whole,
        Answer(head + SOURCE[cut:] + "\n", place, token_starts=moved, prefix=SOURCE[:cut], **shared),
        len(head),
    )


def cut_place(place, cut, head):
    """Where a place of the whole program lies in the completion; None where it does not."""
    if place is None or (place[0] < cut and place[1] <= cut):
        return None
    return max(place[0], cut) - cut + head, place[1] - cut + head


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_values_and_spans_are_those_of_the_whole_program(outcome, cut):
    """A prefix that is left out of the program, a place that is not moved by it, or a loss that somebody else's code
    made charged to the completion."""
    whole, split, head = answers(cut, OUTCOMES[outcome])
    assert split.source == whole.source
    for name, options in VARIANTS:
        of_whole, of_split = (expression.COMPONENTS[name](answer, **options) for answer in (whole, split))
        assert of_split.value == of_whole.value, name
        expected = []
        for span in of_whole.spans:
            place = cut_place((span.start, span.end), cut, head)
            if place is not None:
                # Rows with findings share a loss by length; of one that is cut, the prefix's share is nobody's.
                is_row = name == "lint" and not options and span.value < 0 and is_payable(whole, name)
                share = (place[1] - place[0]) / (span.end - span.start) if is_row else 1.0
                expected.append(Span(*place, pytest.approx(span.value * share)))
        assert list(of_split.spans) == expected, name


@pytest.mark.parametrize("cut", CUTS)
def test_places_are_those_of_the_whole_program(cut):
    """A place in the prefix that comes out before the program, or in it."""
    whole, split, head = answers(cut, OUTCOMES["passed"])
    for line in range(1, 13):
        assert line_range(split, line) == cut_place(line_range(whole, line), cut, head)
    for finding in STYLE:
        place = finding_range(whole, finding)
        assert finding_range(split, finding) == (place and cut_place(place, cut, head))
    for of_whole, of_split in (
        (unexecuted(whole), unexecuted(split)),
        ([run[:2] for run in line_runs(whole, {3, 4, 6})], [run[:2] for run in line_runs(split, {3, 4, 6})]),
    ):
        places = [cut_place(place, cut, head) for place in of_whole]
        assert of_split == [place for place in places if place is not None]
    assert whole.text[slice(*unexecuted(whole)[-1])] == "        x = 1\n"


@pytest.mark.parametrize("text", ["", "\n\n", "    # later\n"])
def test_a_stub_alone_is_no_program(text):
    """A completion without code, whose prompt defines the function already, paid for having no findings."""
    outcome = Outcome(**{field.name: None for field in dataclasses.fields(Outcome)} | {"stage": Stage.OUTPUT})
    empty = Answer(text, (0, len(text)), outcome, entry_point="f", prefix=STUB, analysis=Analysis(True))
    assert not is_payable(empty, "style")
    assert (lint(empty).value, sync(empty).value) == (-1.0, 0.0)
    longer = dataclasses.replace(empty, text="    pass", program=(0, 8))
    assert is_payable(longer, "style")
