"""From a problem to the text that the model continues, and from its completion back to a program."""

from data.problems import Problem


def build_prompt(problem: Problem) -> str:
    """The request and one test as a docstring, as in MBPP; the model goes on with the whole function.

    Example: '\"\"\"\\nWrite a function to add two numbers.\\nassert add(1, 2) == 3\\n\"\"\"\\n'
    """
    return f'"""\n{problem.text}\n{problem.test_list[0]}\n"""\n'


def extract_program(completion: str) -> tuple[int, int]:
    """The character range [start, end) of the completion that is the program.

    The embedded base writes bare code, so this is the whole completion. (Fences and chat answers belong to
    the issue of real models; callers already work with the range.)
    """
    return 0, len(completion)
