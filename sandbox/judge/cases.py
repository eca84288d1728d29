"""Tests that run the whole program on stdin and compare what it prints: `cases`.

Covered: each case has its own process; its output is read from a memory file after its end. All lines must be there
and no others. Output at the limit is a failure of its own.
Not covered: blank lines and the number of blanks around words are not compared.
"""

import math
import re
from dataclasses import replace

from sandbox.judge.execution import OUTPUT_KEPT, Child, Execution, Gone, failure_of, short
from sandbox.outcome import Case, Verdict


def judge_cases(execution: Execution) -> None:
    """Run the cases one by one, each in its own child."""
    for case in execution.task.cases:
        if execution.exhausted() or execution.failure is not None:
            return
        _run_case(execution, case)


def _run_case(execution: Execution, case: Case) -> None:
    child = Child(execution, case.stdin)
    link, failed = child.link, None
    try:
        child.send_program([])
        child.hear_start()
        failed = failure_of(link.hear())  # a message only if the body raised; else Gone, raised by the end
        link.hear_end()
    except Gone:
        pass  # expected; the status below tells how it ended
    lines = child.take_lines()
    status, printed = child.end()
    if execution.failure is not None or not execution.parsed:
        execution.failure = execution.failure or Verdict(link.ended, link.ended.capitalize())
        return
    if link.timeout:
        verdict = Verdict("timeout", "Timeout")
    elif execution.output_bytes >= execution.limits.output_bytes:
        verdict = Verdict("error", "OutputTruncated")
    elif status != 0:
        verdict = failed or Verdict("crash", "Crash")
    elif same_output(printed, case.stdout, execution.task.tolerance):
        verdict = Verdict("passed")
    else:
        verdict = Verdict("wrong", "AssertionError", value=short(printed))
    if status == 0 and not link.timeout:
        execution.ran = True
        execution.has_value = execution.has_value or bool(printed.strip())
    if verdict.word != "passed" and not execution.output:
        execution.output = printed[:OUTPUT_KEPT]
    execution.verdicts.append(replace(verdict, lines=lines))


def same_output(printed: str, expected: str, tolerance: float = 0.0) -> bool:
    """Whether all lines have the same words ("1  2 \\n\\n3" is the same as "1 2\\n3\\n"). Numbers may differ by the
    tolerance, absolute or relative, unless both are whole.
    """
    lines, wanted = _lines_of_words(printed), _lines_of_words(expected)
    return len(lines) == len(wanted) and all(
        len(words) == len(wants) and all(_same_word(*pair, tolerance) for pair in zip(words, wants, strict=True))
        for words, wants in zip(lines, wanted, strict=True)
    )


def _lines_of_words(text: str) -> list[list[str]]:
    return [words for line in text.split("\n") if (words := line.split())]


def _same_word(word: str, want: str, tolerance: float) -> bool:
    if word == want or tolerance == 0:
        return word == want
    if _WHOLE.fullmatch(word) and _WHOLE.fullmatch(want):
        return False  # 1000000008 for 1000000007 is a wrong count, not a rounding error
    try:
        number, wanted = float(word), float(want)
    except ValueError:
        return False
    # Numbers too large for a float are all infinite, and would be equal.
    return math.isfinite(number) and math.isclose(number, wanted, rel_tol=tolerance, abs_tol=tolerance)


_WHOLE = re.compile(r"[+-]?\d+")
