"""From a problem to the text that the model continues, and from its completion back to a program."""

from data.problems import Problem


def build_prompt(problem: Problem) -> str:
    """The request and one test as a docstring, as in MBPP; the model goes on with the whole function.

    Example: '\"\"\"\\nWrite a function to add two numbers.\\nassert add(1, 2) == 3\\n\"\"\"\\n'
    """
    return format_prompt(problem.text, problem.test_list[0])


def format_prompt(text: str, test: str) -> str:
    """The one place that knows the format: the base is pretrained on it, too."""
    return f'"""\n{text}\n{test}\n"""\n'


def extract_program(completion: str) -> tuple[int, int]:
    """The character range [start, end) of the completion that is the program.

    The embedded base writes bare code, so this is the whole completion. (Fences and chat answers belong to
    the issue of real models; callers already work with the range.)
    """
    return 0, len(completion)
