"""Tests that run the whole program on stdin and compare what it prints: `cases`.

Covered: each case has a process of its own; what is compared is read from a memory file when that process is dead; all
words count, to the last line; output at the limit is a failure that says so.
Not covered: line ends and spaces between words are not compared.
"""

import math

from sandbox.calls import short
from sandbox.outcome import Case, Verdict
from sandbox.remote import Gone
from sandbox.trial import OUTPUT_KEPT, Child, Record, failure_of


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
    """Whether all words are the same, in order; numbers may differ by the tolerance, absolutely or relatively."""
    words, wanted = printed.split(), expected.split()
    return len(words) == len(wanted) and all(
        word == want or (tolerance > 0 and _close(word, want, tolerance))
        for word, want in zip(words, wanted, strict=True)
    )


def _close(word: str, want: str, tolerance: float) -> bool:
    try:
        return math.isclose(float(word), float(want), rel_tol=tolerance, abs_tol=tolerance)
    except ValueError:
        return False
