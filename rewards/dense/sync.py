"""Sync: the fence and the grammar, token by token. A term of the dense reward of arXiv 2605.21180.

The paper asks a grammar engine, for each newly drawn token, whether the program can still become a valid one. We ask
Python's parser once where it stopped in the written program: up to that place it could, from there on it could not.
"""

from rewards.answer import Answer, Value
from rewards.places import in_completion, is_sum, per_token_value, placed, split_lines
from rewards.program import adds_code, parse, says_something


def sync(answer: Answer, *, per_token: float = 0) -> Value:
    """1 for a program that parses, spread over it and its fence; else -1, spread from where the parser stopped.

    0 for a program without code (empty, comments, docstrings, `pass`) or longer than program.LARGEST.
    per_token=1, the paper's form: each token of the program earns 1 up to that place and -1 from there on; each token
    of the fence's two markers earns 2 (the paper: the last two tokens of each marker); the rest of the text earns 0.
    The total grows with length, and a long text is paid for everything before its error.
    ValueError for per_token=1 if the tokens are unknown.
    """
    summed = is_sum(per_token, "sync")
    if answer.parses and not _has_code(answer):
        return Value(0.0)
    start, end = answer.program
    wrong = end if answer.parses else error_place(answer)
    if summed:
        markers = [(*marker, 2.0) for marker in fence_markers(answer)]
        return per_token_value(answer, [*markers, (start, wrong, 1.0), (wrong, end, -1.0)])
    if not answer.parses:
        return placed(-1.0, wrong, end)
    edges = [place for marker in fence_markers(answer) for place in marker]
    return placed(1.0, min([start, *edges]), max([end, *edges]))


def error_place(answer: Answer) -> int:
    """The character of the completion at which the parser stopped.

    At the end of the text: its last character that is not blank. Without a line, or in the prefix: the program's first.
    """
    if answer.outcome.line is None:
        return answer.program[0]
    lines = split_lines(answer.source)
    start, end = lines[min(answer.outcome.line, len(lines)) - 1]  # Python may name a line behind the last
    place = min(start + (answer.outcome.column or 0), end)
    place = min(place, max(0, len(answer.source.rstrip()) - 1))
    rest = in_completion(answer, place, len(answer.source))
    return answer.program[0] if rest is None else rest[0]


def fence_markers(answer: Answer) -> list[tuple[int, int]]:
    """Characters of the opening and the closing marker: the nearest lines around the program that are not blank."""
    if not answer.fenced:
        return []
    start, end = answer.program
    before = [line for line in split_lines(answer.text[:start]) if answer.text[slice(*line)].strip()]
    after = [(end + a, end + b) for a, b in split_lines(answer.text[end:]) if answer.text[end + a : end + b].strip()]
    return before[-1:] + after[:1]


def _has_code(answer: Answer) -> bool:
    tree = parse(answer.source)
    return tree is not None and says_something(tree) and adds_code(answer)
