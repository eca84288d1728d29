"""Tests that run the whole program on stdin and compare what it prints: `cases`.

Covered: each case has a process of its own; what is compared is read from a memory file when that process is dead; all
lines count, to the last one, and no more of them; output at the limit is a failure that says so.
Not covered: blank lines, and how many blanks stand around the words of a line, are not compared.
"""

import math
import re

from sandbox.judge.calls import short
from sandbox.judge.remote import Gone
from sandbox.judge.trial import OUTPUT_KEPT, Child, Record, failure_of
from sandbox.outcome import Case, Verdict


def judge_cases(record: Record) -> None:
    for case in record.task.cases:
        if record.exhausted() or record.failure is not None:
            return
        verdict = _run_case(record, case)
        if verdict is not None:
            record.verdicts.append(verdict)


def _run_case(record: Record, case: Case) -> Verdict | None:
    """One child for one case; None when the program does not compile."""
    child = Child(record, case.stdin)
    failed = None
    try:
        child.hand_over([])
        child.hear_start()
        child.link.begin_test()
        failed = failure_of(child.link.hear())  # a word only if the body raised; else this is the end already
        child.link.hear_end()
    except Gone:
        pass  # the expected end: what it means is settled by the status below
    lines = child.take_lines()
    status, printed = child.end()
    if record.failure is not None or not record.parsed:
        record.failure = record.failure or Verdict(child.link.ended, child.link.ended.capitalize())
        return None
    verdict = _verdict_of_case(record, child, case, status, printed, failed)
    if status == 0 and not child.link.timeout:
        record.ran = True
        record.value = record.value or bool(printed.strip())
    if verdict.word != "passed" and not record.output:
        record.output = printed[:OUTPUT_KEPT]
    return verdict if lines is None else Verdict(**vars(verdict) | {"lines": lines})


def _verdict_of_case(
    record: Record, child: Child, case: Case, status: int, printed: str, failed: Verdict | None
) -> Verdict:
    if child.link.timeout:
        return Verdict("timeout", "Timeout")
    if record.output_bytes >= record.limits.output_bytes:
        return Verdict("error", "OutputTruncated")
    if status != 0:
        return failed or Verdict("crash", "Crash")
    if same_output(printed, case.stdout, record.task.tolerance):
        return Verdict("passed")
    return Verdict("wrong", "AssertionError", value=short(printed))


def same_output(printed: str, expected: str, tolerance: float = 0.0) -> bool:
    """Whether all lines hold the same words, in order; numbers may differ by the tolerance, absolutely or relatively,
    unless both are whole.

    Example: "1  2 \\n\\n3" is the same as "1 2\\n3\\n"; "1\\n2\\n3" and "1 2" are not.
    """
    lines, wanted = _lines_of_words(printed), _lines_of_words(expected)
    return len(lines) == len(wanted) and all(
        len(words) == len(wants) and all(_same_word(*pair, tolerance) for pair in zip(words, wants, strict=True))
        for words, wants in zip(lines, wanted, strict=True)
    )


def _lines_of_words(text: str) -> list[list[str]]:
    """The words of each line that has any."""
    return [words for line in text.split("\n") if (words := line.split())]


def _same_word(word: str, want: str, tolerance: float) -> bool:
    return word == want or (tolerance > 0 and _close(word, want, tolerance))


def _close(word: str, want: str, tolerance: float) -> bool:
    if _WHOLE.fullmatch(word) and _WHOLE.fullmatch(want):
        return False  # 1000000008 for 1000000007 is a wrong count, not an inexact one
    try:
        number, wanted = float(word), float(want)
    except ValueError:
        return False
    # Numbers too large for a float are all infinite, and would be equal.
    return math.isfinite(number) and math.isclose(number, wanted, rel_tol=tolerance, abs_tol=tolerance)


_WHOLE = re.compile(r"[+-]?\d+")
