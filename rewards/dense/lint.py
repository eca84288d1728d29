"""Lint: Ruff's findings, charged to their rows. A term of the dense reward of arXiv 2605.21180.

The published code gives Ruff the whole response with fences and prose; here Ruff gets the program only, and other
tokens earn nothing.
"""

import math

from rewards.answer import Answer, Span, Value
from rewards.components.findings import is_payable
from rewards.places import finding_lines, is_sum, line_runs, per_token_value, placed, runs_of


def lint(answer: Answer, *, normaliser: float = 5.0, per_token: float = 0) -> Value:
    """2s - 1 with s = exp(-n / normaliser) and n findings: in (-1, 1], and 1 without a finding.

    s is spread over the program; -(1 - s) over the rows with findings, by length. Example: 5 findings earn -0.264.
    A program that does not parse, was not analysed or does not define the entry point earns -1, less than any other.

    per_token=1, the paper's form: each token in a row with a finding earns -1, each other token of the program 1, and
    each token of a program that earns -1 above also -1. The total grows with length.
    ValueError for an answer without analysis, for per_token=1 if the tokens are unknown, or for a normaliser that is
    not above 0.
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
    length = sum(end - start for start, end, found in runs_of(answer.source, lines) if found)  # with the prefix's rows
    losses = [Span(start, end, (score - 1.0) * (end - start) / length) for start, end, found in runs if found]
    return Value(2.0 * score - 1.0, (Span(start, end, score), *losses))
