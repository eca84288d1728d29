"""Rewards of one outcome: pure functions from a staged outcome to a number in a documented range."""

from dataclasses import dataclass

from sandbox import Outcome, Stage


@dataclass(frozen=True)
class Ladder:
    """The rungs of the staged reward (SecureCodeRL, arXiv 2601.01184): what each stage is worth.

    A program that compiles but whose module body fails gets `parses`; one whose body runs, `runs`; one whose
    entry point returns a value on a test, `output`; from there `tests` is paid out by the share of tests passed.
    """

    syntax_error: float = 0.0
    parses: float = 0.2
    runs: float = 0.4
    output: float = 0.6
    tests: float = 0.4


def binary(outcome: Outcome) -> float:
    """1 if every test passed, else 0."""
    return 1.0 if outcome.stage == Stage.PASSED else 0.0


def staged(outcome: Outcome, ladder: Ladder | None = None) -> float:
    """0.0 / 0.2 / 0.4 / 0.6 / 0.6 + 0.4 k/T with the default ladder: in [0, 1], and 1 if every test passed.

    Example: 2 of 4 tests passed is 0.6 + 0.4 * 0.5 = 0.8.
    """
    rungs = ladder or Ladder()
    if outcome.stage == Stage.SYNTAX_ERROR:
        return rungs.syntax_error
    if outcome.stage == Stage.PARSES:
        return rungs.parses
    if outcome.stage == Stage.RUNS:
        return rungs.runs
    return rungs.output + rungs.tests * outcome.passed / outcome.total


REWARDS = {"binary": binary, "staged": staged}
