"""From a problem to the text that the model continues, and from its completion back to a program."""

import re
from typing import NamedTuple

from data.problems import Problem

# A line of its own: three backticks, and at the opening perhaps the language.
FENCE = re.compile(r"^ {0,3}```[ \t]*([\w+.-]*)[ \t]*(?:\r\n|\r|\n|\Z)", re.MULTILINE)
LANGUAGES = ("", "py", "python", "python3")


def build_prompt(problem: Problem) -> str:
    """The request and one test as a docstring, as in MBPP; the model goes on with the whole function.

    Example: '\"\"\"\\nWrite a function to add two numbers.\\nassert add(1, 2) == 3\\n\"\"\"\\n'
    """
    return format_prompt(problem.text, problem.test_list[0])


def format_prompt(text: str, test: str) -> str:
    """The one place that knows the format: the base is pretrained on it, too."""
    return f'"""\n{text}\n{test}\n"""\n'


class Program(NamedTuple):
    """Where the program stands in a completion: the characters [start, end); whether a closed fence holds it."""

    start: int
    end: int
    fenced: bool


def extract_program(completion: str) -> Program:
    """The first fenced code block (of no language or Python), and nothing around it; without a fence, all.

    A fence that is never closed ends with the text, and does not count as one. Every reward sees this one range, so
    code elsewhere earns nothing anywhere. Example: "Here:\\n```python\\nx = 1\\n```\\n" is (16, 22, True): "x = 1\\n".
    """
    opening = None
    for fence in FENCE.finditer(completion):
        if opening is None:
            opening = fence
        elif not fence[1]:  # closes the block
            if opening[1].lower() in LANGUAGES:
                return Program(opening.end(), fence.start(), True)
            opening = None
    if opening is not None and opening[1].lower() in LANGUAGES:
        return Program(opening.end(), len(completion), False)
    return Program(0, len(completion), False)
