"""Task: the tests passed, on the program's tokens. A term of the dense reward of arXiv 2605.21180.

Two flaws of the published code are not reproduced. It executes only the tokens that its other terms reward; here the
written program is executed. It takes return code 0 for a passed test, which `exit(0)` earns too; here the sandbox
compares values.
"""

from rewards.answer import Answer, Value
from rewards.dense.sync import error_place
from rewards.places import finding_lines, is_sum, line_runs, per_token_value, placed


def task(answer: Answer, *, per_token: float = 0) -> Value:
    """k/T if k >= 1 of T tests pass, else -0.3: spread over the program. In [-0.3, 1].

    per_token=1, the paper's form: each token of the program earns k/T; or, if no test passes, -0.3 where its lint and
    sync are good: before the place of a syntax error and in a row without a finding. So a program with a finding in
    every row loses nothing by failing, and the total grows with length.
    ValueError for per_token=1 if the tokens are unknown, or if no test passed and the program was not analysed.
    """
    summed = is_sum(per_token, "task")
    start, end = answer.program
    value = answer.outcome.passed / answer.outcome.total if answer.outcome.passed else -0.3
    if not summed:
        return placed(value, start, end)
    if value > 0:
        return per_token_value(answer, [(start, end, value)])
    if answer.analysis is None:
        raise ValueError("task: the program was not analysed")
    good = end if answer.parses else error_place(answer)
    runs = line_runs(answer, finding_lines(answer.analysis.style))
    return per_token_value(
        answer, [(start, min(end, good), value) for start, end, found in runs if not found and start < good]
    )
