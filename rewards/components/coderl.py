"""The four classes of CodeRL (Le et al. 2022, arXiv 2207.01780, eq. 6)."""

from rewards.answer import Answer, Value
from rewards.places import blame
from sandbox import Stage

COMPARED = ("passed", "wrong")  # verdicts of tests that reached their comparison


def coderl(
    answer: Answer,
    *,
    compile_error: float = -1.0,
    runtime_error: float = -0.6,
    failed: float = -0.3,
    passed: float = 1.0,
) -> Value:
    """-1 does not compile, -0.6 an exception, a crash or a limit in any test, -0.3 a wrong value, +1 all passed."""
    outcome = answer.outcome
    if outcome.stage == Stage.PASSED:
        value = passed
    elif outcome.stage == Stage.SYNTAX_ERROR:
        value = compile_error
    else:
        value = failed if all(test.word in COMPARED for test in outcome.tests) else runtime_error
    return blame(answer, value, most=passed)
