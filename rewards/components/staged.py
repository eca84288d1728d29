"""Partial credit by how far a program came: the ladder of SecureCodeRL (Sijwali and Saha, arXiv 2601.01184)."""

from rewards.answer import Answer, Value
from rewards.places import blame
from sandbox import Stage


def staged(
    answer: Answer,
    *,
    syntax_error: float = 0.0,
    parses: float = 0.2,
    runs: float = 0.4,
    output: float = 0.6,
    tests: float = 0.4,
) -> Value:
    """0.0 / 0.2 / 0.4 / 0.6 / 0.6 + 0.4 k/T with the rungs as they come: in [0, 1], and 1 if every test passed.

    A program that compiles but whose module body fails gets `parses`; one whose body runs, `runs`; one whose entry
    point returns a value on a test (or, of whole programs, prints anything), `output`; from there `tests` is paid out
    by the share of tests passed. Example: 2 of 4 tests passed is 0.6 + 0.4 * 0.5 = 0.8.

    In the published code a rung is reached when any one test reaches it; here, too (see sandbox.Stage).
    """
    rungs = {Stage.SYNTAX_ERROR: syntax_error, Stage.PARSES: parses, Stage.RUNS: runs}
    earned = output + tests * answer.outcome.passed / answer.outcome.total
    return blame(answer, rungs.get(answer.outcome.stage, earned), most=output + tests)
