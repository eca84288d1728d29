"""Partial credit by how far a program came: the stages of SecureCodeRL (Sijwali and Saha, arXiv 2601.01184)."""

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
    """With the default options 0.0 / 0.2 / 0.4 / 0.6 / 0.6 + 0.4 k/T: in [0, 1], and 1 if every test passed.

    `parses`  it compiles, but its module body fails
    `runs`    the module body runs
    `output`  the entry point returned a value in any test (whole programs: printed something)
    `tests`   paid on top of `output` by the share of passed tests; 2 of 4 are 0.6 + 0.4 * 0.5 = 0.8
    """
    rungs = {Stage.SYNTAX_ERROR: syntax_error, Stage.PARSES: parses, Stage.RUNS: runs}
    earned = output + tests * answer.outcome.passed / answer.outcome.total
    return blame(answer, rungs.get(answer.outcome.stage, earned), most=output + tests)
