"""From a problem to the text that the model continues. data/programs.py finds the program in the model's answer.

    docstring       the request and its first test as a docstring; the completion is the program. For a problem with a
                    stub (HumanEval), the prompt is the stub, and the completion continues it
    few-shot        the prompt of MBPP's paper (arXiv 2108.07732), with solved problems in front; for base models
    chat            a request in words, through the tokenizer's chat template; the answer is one ```python block
    dense-reward    the code prompt of arXiv 2605.21180, with its system message; also through the chat template
    securecode      the prompt of SecureCodeRL (arXiv 2601.01184), which shows no tests
    securecode-sft  the same paper's prompt for supervised fine-tuning

Tokenizing is in experiments/inputs/policy.py.
"""

import hashlib
from dataclasses import dataclass

from data.problems import Problem

STYLES = ("docstring", "few-shot", "chat", "dense-reward", "securecode", "securecode-sft")
CHATS = ("chat", "dense-reward")  # styles that need a chat template
RULES = ("first", "longest")

LONGEST_TEST = 1000  # characters. Longer tests are not shown: a case of APPS may have a million
DONE = "[DONE]"

# Solved problems for few-shot prompts, used if the caller gives none of the needed kind. No benchmark contains them.
OWN_SHOTS = (
    Problem(
        "initials",
        "Write a function to return the initials of a name, in capitals.",
        'def initials(name):\n    return "".join(word[0].upper() for word in name.split())\n',
        (
            'assert initials("ada lovelace") == "AL"',
            'assert initials("Grace") == "G"',
            'assert initials("j. r. r. tolkien") == "JRRT"',
        ),
        "initials",
    ),
    Problem(
        "minutes",
        "Write a function to find the minutes between two times of one day, each given as 'hh:mm'.",
        "def minutes_between(start, end):\n"
        '    start_hours, start_minutes = start.split(":")\n'
        '    end_hours, end_minutes = end.split(":")\n'
        "    hours = int(end_hours) - int(start_hours)\n"
        "    return 60 * hours + int(end_minutes) - int(start_minutes)\n",
        (
            'assert minutes_between("09:30", "10:15") == 45',
            'assert minutes_between("08:00", "08:00") == 0',
            'assert minutes_between("00:01", "23:59") == 1438',
        ),
        "minutes_between",
    ),
    Problem(
        "strides",
        "Write a function to take every n-th element of a list, the first one included.",
        "def every_nth(items, n):\n    return items[::n]\n",
        (
            "assert every_nth([1, 2, 3, 4, 5], 2) == [1, 3, 5]",
            "assert every_nth([7, 8, 9], 1) == [7, 8, 9]",
            "assert every_nth([], 3) == []",
        ),
        "every_nth",
    ),
    Problem(
        "change",
        "A line of stdin holds a price and the money that was given for it. Write a program to print the change.",
        "price, given = map(int, input().split())\nprint(given - price)\n",
        cases=(("7 10\n", "3\n"), ("5 5\n", "0\n")),
    ),
    Problem(
        "tallest",
        "The first line of stdin holds a number n. Each of the next n lines holds a name and a height. "
        "Write a program to print the name of the tallest.",
        "people = [input().split() for _ in range(int(input()))]\n"
        "print(max(people, key=lambda person: int(person[1]))[0])\n",
        cases=(("2\nann 171\nbob 168\n", "ann\n"), ("1\neve 160\n", "eve\n")),
    ),
)


@dataclass(frozen=True)
class PromptFormat:
    """How a problem becomes a prompt, and how the program is found in the answer."""

    style: str = "docstring"  # one of STYLES
    thinking: bool = False  # let the model think first, if its chat template has a switch for it (enable_thinking)
    rule: str = "first"  # the fenced block that is the program: the "first" or the "longest"
    stop: bool = True  # end an answer where its style ends it (has_ended), not only at the end of sequence
    shots: tuple[Problem, ...] = ()  # solved problems for the few-shot style
    in_thought: bool = False  # the chat template ends the prompt inside a thought, so the answer begins there


DOCSTRING = PromptFormat()  # the format of the embedded model


def build_prompt(problem: Problem, form: PromptFormat = DOCSTRING) -> str:
    """The prompt of a style that needs no chat template.

    Example: '\"\"\"\\nWrite a function to add two numbers.\\nassert add(1, 2) == 3\\n\"\"\"\\n'
    """
    match form.style:
        case "docstring":
            return problem.stub or docstring_prompt(problem.text, _first_test(problem) or _program_kind(problem))
        case "few-shot":
            solved = [f"{_few_shot_task(shot)}{shot.code.rstrip()}\n{DONE}\n\n" for shot in _shots(problem, form)]
            return "".join([*solved, _few_shot_task(problem)])
        case "securecode":
            return _securecode_prompt(problem.text, "code")
        case "securecode-sft":
            return _securecode_prompt(problem.text, "Python code")
    raise ValueError(f"style {form.style!r}: needs a chat template")


def build_messages(problem: Problem, form: PromptFormat) -> list[dict[str, str]]:
    """The messages of a style in CHATS, for the chat template."""
    if form.style == "chat":
        return [{"role": "user", "content": _chat_request(problem)}]
    if form.style == "dense-reward":
        system = "You are a helpful Python assistant.\n you follow the instruction exactly."
        request = (
            "Create a python Program with following instructions. "
            "Only create the asked function with no other output.\n # Instruction: "
        )
        instruction = problem.stub or f"{problem.text}\n{_first_test(problem) or _program_kind(problem)}"
        return [{"role": "system", "content": system}, {"role": "user", "content": request + instruction}]
    raise ValueError(f"style {form.style!r}: uses no chat template")


def docstring_prompt(text: str, test: str) -> str:
    """The docstring style. The embedded model is pretrained on it (data/embedded/corpus.py)."""
    return f'"""\n{text}\n{test}\n"""\n'


def continues_stub(problem: Problem, form: PromptFormat) -> bool:
    """Whether the prompt ends with the problem's stub, so that the completion is the function's body."""
    return form.style == "docstring" and problem.stub != ""


def _first_test(problem: Problem) -> str:
    """The first test or case that is short enough to be shown, or ""."""
    cases = (f"Input:\n{stdin.rstrip()}\nOutput:\n{stdout.rstrip()}" for stdin, stdout in problem.cases)
    return next((test for test in (*problem.examples, *cases) if len(test) <= LONGEST_TEST), "")


def _program_kind(problem: Problem) -> str:
    """The form that the tests need: a program that reads stdin, or a function of a given name."""
    if problem.cases:
        return "Write it as a Python program that reads stdin and prints its results to stdout."
    return f"Write it as a Python function called {problem.entry_point}."


def _few_shot_task(problem: Problem) -> str:
    """MBPP's request. It shows the benchmark's first three tests, as in the paper."""
    expert = "You are an expert Python programmer, and here is your task: "
    if problem.stub:
        return f"{expert}Complete this function, and give the whole of it.\n\n{problem.stub.rstrip()}\n[BEGIN]\n"
    tests = "\n".join(test for test in problem.examples[:3] if len(test) <= LONGEST_TEST) or _first_test(problem)
    needs = f"Your code should pass these tests:\n\n{tests}" if tests else _program_kind(problem)
    return f"{expert}{problem.text} {needs}\n[BEGIN]\n"


def _shots(problem: Problem, form: PromptFormat) -> list[Problem]:
    """Solved problems of the same kind as the problem (functions or whole programs): the caller's, else our own."""
    same_kind = [[s for s in shots if bool(s.cases) == bool(problem.cases)] for shots in (form.shots, OWN_SHOTS)]
    return same_kind[0] or same_kind[1]


def _chat_request(problem: Problem) -> str:
    answer = "Answer with the whole program, imports included, in one ```python block."
    if problem.stub:
        return f"Complete this Python function:\n\n```python\n{problem.stub.rstrip()}\n```\n\n{answer}"
    test = _first_test(problem)
    example = f" {'For example:' if problem.cases else 'It has to pass this test:'}\n\n{test}" if test else ""
    return f"{problem.text}\n\n{_program_kind(problem)}{example}\n\n{answer}"


def _securecode_prompt(question: str, what: str) -> str:
    """Asks for a function without arguments, named after its question: the paper's programs read stdin."""
    digest = hashlib.md5(question[:50].encode(), usedforsecurity=False).hexdigest()
    stub = f'def solve_{digest[:5]}():\n    """{question}\n    """\n'
    return f"### Instruction:\nComplete the following {what}:\n\n{stub}\n\n### Response:\n"
