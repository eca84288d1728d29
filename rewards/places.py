"""Places in a program: from lines and columns to characters of the completion, and the line to blame for a failure.

Python, Ruff and Bandit report lines and columns of the executed source; a Span has characters of the completion. A
place in the prefix has no character in the completion: it is left out, or cut if it ends behind the prefix.

Lines end only at "\\n", "\\r\\n" and "\\r", as for Python's tokenizer (str.splitlines also cuts at form feeds).
"""

import re
from bisect import bisect_left
from functools import lru_cache
from itertools import pairwise

from rewards.answer import Answer, Finding, Span, Value

BLANKS = " \t\f"
_LINE_END = re.compile(r"\r\n|\n|\r")

# Failures without a line to blame: a recursion, for example, ends at an arbitrary frame. RLTF (arXiv 2307.04349) calls
# such errors global, and blames no line for a wrong value either.
_GLOBAL = {
    *("Timeout", "RecursionError", "MemoryError", "Crash", "SlotLost", "JudgeTimeout", "Tampering"),
    *("EntryPointMissing", "ReplyTooLarge", "OutputTruncated", "NotPlainData"),
}


# Lines and columns ----------------------------------------------------------------------------------------------


@lru_cache(256)
def split_lines(source: str) -> tuple[tuple[int, int], ...]:
    """[start, end) of each line without its line end. After a last line end comes one more, empty line."""
    starts, ends = [0], []
    for match in _LINE_END.finditer(source):
        ends.append(match.start())
        starts.append(match.end())
    return tuple(zip(starts, [*ends, len(source)], strict=True))


def in_completion(answer: Answer, start: int, end: int) -> tuple[int, int] | None:
    """The characters [start, end) of the source as characters of the completion; None if all are in the prefix."""
    own = len(answer.prefix)  # the first character of the source that is the completion's
    if start < own and end <= own:
        return None
    shift = answer.program[0] - own
    return max(start, own) + shift, end + shift


def line_range(answer: Answer, line: int) -> tuple[int, int] | None:
    """A line of the source (from 1) without indentation and line end; None if it is missing or in the prefix."""
    lines = split_lines(answer.source)
    if not 1 <= line <= len(lines):
        return None
    start, end = lines[line - 1]
    while start < end and answer.source[start] in BLANKS:
        start += 1
    return in_completion(answer, start, end)


def line_runs(answer: Answer, chosen: set[int]) -> list[tuple[int, int, bool]]:
    """The program, cut into runs of whole lines (with line ends) that are all chosen or all not chosen.

    Returns (start, end, whether chosen) in characters of the completion.
    """
    runs = runs_of(answer.source, chosen)
    return [(*place, is_chosen) for start, end, is_chosen in runs if (place := in_completion(answer, start, end))]


def runs_of(source: str, chosen: set[int]) -> list[tuple[int, int, bool]]:
    """`line_runs` in characters of the source."""
    runs: list[tuple[int, int, bool]] = []
    starts = [start for start, _ in split_lines(source)]
    for line, (start, end) in enumerate(pairwise([*starts, len(source)]), 1):
        is_chosen = line in chosen
        if runs and runs[-1][2] == is_chosen:
            start = runs.pop()[0]
        if start < end:  # not the empty line after the last line end
            runs.append((start, end, is_chosen))
    return runs


def finding_range(answer: Answer, finding: Finding) -> tuple[int, int] | None:
    """Characters of the completion for a finding; None if it holds no character of the completion.

    Columns are clipped to their lines. An empty place ("no newline at end of file") becomes its whole line.
    """
    lines = split_lines(answer.source)
    if not 1 <= finding.line <= finding.end_line <= len(lines):
        return None
    start = min(lines[finding.line - 1][0] + finding.column, lines[finding.line - 1][1])
    end = min(lines[finding.end_line - 1][0] + finding.end_column, lines[finding.end_line - 1][1])
    place = in_completion(answer, start, end) if start < end else line_range(answer, finding.line)
    return place if place is not None and place[0] < place[1] else None


def finding_lines(findings: tuple[Finding, ...]) -> set[int]:
    """The lines (from 1) that findings touch."""
    return {line for finding in findings for line in range(finding.line, finding.end_line + 1)}


# Blame ----------------------------------------------------------------------------------------------------------


def fault(answer: Answer) -> tuple[int, int] | None:
    """The characters of the line to blame: that of the syntax error, or the deepest of the traceback.

    An empty line (such as the end of the file) passes the blame to the line above. None if no line is to blame: the
    program passed, returned a wrong value, or failed as a whole (_GLOBAL).
    """
    outcome = answer.outcome
    if answer.passed or outcome.line is None or outcome.error_type in _GLOBAL:
        return None
    for line in range(outcome.line, 0, -1):
        place = line_range(answer, line)
        if place is None:  # in the prefix, or in code that the program compiled itself under the same file name
            return None
        if place[0] < place[1]:
            return place
    return None


def blame(answer: Answer, value: float, most: float) -> Value:
    """The value; its difference to `most`, if any, is charged to the line at fault, if any."""
    place = fault(answer)
    if place is None or value >= most:
        return Value(value)
    return Value(value, (Span(*place, value - most),))


# Values with a place --------------------------------------------------------------------------------------------


def placed(value: float, start: int, end: int) -> Value:
    """A value that lies wholly in [start, end); without a place if that is empty."""
    return Value(value, (Span(start, end, value),) if value and start < end else ())


def per_token_value(answer: Answer, places: list[tuple[int, int, float]]) -> Value:
    """The sum over tokens: each token that begins in a place (start, end, amount) earns its amount.

    The total grows with the number of tokens. ValueError if the tokens are unknown.
    """
    if not answer.token_starts:
        raise ValueError("per_token: the answer has no token_starts, so a sum over tokens cannot be formed")
    spans = []
    for start, end, amount in places:
        count = bisect_left(answer.token_starts, end) - bisect_left(answer.token_starts, start)
        if count:
            spans.append(Span(start, end, amount * count))
    return Value(sum((span.value for span in spans), 0.0), tuple(spans))


def is_sum(per_token: float, component: str) -> bool:
    """Whether every token earns the amount, as in arXiv 2605.21180: per_token=1. ValueError unless 0 or 1."""
    if per_token not in (0, 1):
        raise ValueError(f"{component}: per_token {per_token}: must be 0 (fixed totals) or 1 (a sum over tokens)")
    return per_token == 1
