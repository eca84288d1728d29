"""Sync: the fence and the grammar, token by token. A term of the dense reward of arXiv 2605.21180.

The paper asks an incremental grammar engine, for each token, whether the program could still go on from there. We ask
Python's parser once, where it gave up: up to that place the program could still have become one, from there on not.
The published code asks about a token that it has drawn anew, not the one that was written; here it is the one written.
"""

from rewards.answer import Answer, Value
from rewards.places import adds_code, in_completion, is_sum, parse, per_token_value, placed, says_something, split_lines


def sync(answer: Answer, *, per_token: float = 0) -> Value:
    """1 for a program that parses, spread over it and its fence; else -1, spread from where the parser gave up.

    0 for a program that says nothing (empty, comments, docstrings, `pass`) or is too large to be looked at.
    per_token=1, the paper's form: each token of the program up to that place earns 1, each from there on -1, and each
    token of a fence's two markers 2 (the paper: the last two tokens of each marker); what stands outside earns 0. The
    total then grows with length, and a long text is paid for what stands before its error: ask for it by name only.
    ValueError where per_token=1 and the tokens are not known.
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
    """The character of the completion at which the parser gave up on a program that does not parse.

    Where that is the end of the text, the last character that is no blank: something is missing after it. Where Python
    names no line, or one of the prefix, the program's first: all of it is in question.
    """
    if answer.outcome.line is None:
        return answer.program[0]
    lines = split_lines(answer.source)
    start, end = lines[min(answer.outcome.line, len(lines)) - 1]  # Python may count a line after the last
    place = min(start + (answer.outcome.column or 0), end)
    place = min(place, max(0, len(answer.source.rstrip()) - 1))
    rest = in_completion(answer, place, len(answer.source))
    return answer.program[0] if rest is None else rest[0]


def fence_markers(answer: Answer) -> list[tuple[int, int]]:
    """Characters of the opening and the closing marker: the lines next to the program that are not blank."""
    if not answer.fenced:
        return []
    start, end = answer.program
    before = [line for line in split_lines(answer.text[:start]) if answer.text[slice(*line)].strip()]
    after = [(end + a, end + b) for a, b in split_lines(answer.text[end:]) if answer.text[end + a : end + b].strip()]
    return before[-1:] + after[:1]


def _has_code(answer: Answer) -> bool:
    tree = parse(answer.source)
    return tree is not None and says_something(tree) and adds_code(answer)
