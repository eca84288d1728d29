"""Lint: Ruff's findings on the rows they stand on. A term of the dense reward of arXiv 2605.21180.

The published code gives Ruff the whole response, fences and prose included, and so finds faults where no code is; here
it is given the program only, and tokens outside of it earn nothing. Which rules are asked is rewards/linters/pool.py's.
"""

import math

from rewards.answer import Answer, Span, Value
from rewards.components.findings import is_payable
from rewards.places import finding_lines, is_sum, line_runs, per_token_value, placed, runs_of


def lint(answer: Answer, *, normaliser: float = 5.0, per_token: float = 0) -> Value:
    """2s - 1 with s = exp(-n / normaliser) and n findings: in (-1, 1], and 1 without a finding.

    s is spread over the program; -(1 - s) over the rows with findings, by length. Example: 5 findings are -0.264.
    A program that does not parse, could not be analysed or does not define what was asked has -1: less than any other.

    per_token=1, the paper's form: each token of a row with a finding earns -1, each other token of the program 1, and
    each of a program as above -1. The total then grows with length.
    ValueError where the program was not analysed, where per_token=1 and the tokens are not known, or for a normaliser
    that is not above 0.
    """
    if not normaliser > 0:
        raise ValueError(f"lint: normaliser {normaliser}: must be above 0")
    summed = is_sum(per_token, "lint")
    start, end = answer.program
    if not is_payable(answer, "lint"):
        return per_token_value(answer, [(start, end, -1.0)]) if summed else placed(-1.0, start, end)
    lines = finding_lines(answer.analysis.style)
    runs = line_runs(answer, lines)
    if summed:
        return per_token_value(answer, [(start, end, -1.0 if found else 1.0) for start, end, found in runs])
    score = math.exp(-len(answer.analysis.style) / normaliser)
    length = sum(end - start for start, end, found in runs_of(answer.source, lines) if found)  # a prefix's rows, too
    losses = [Span(start, end, (score - 1.0) * (end - start) / length) for start, end, found in runs if found]
    return Value(2.0 * score - 1.0, (Span(start, end, score), *losses))
