"""From a problem to the text that the model continues, and from its completion back to a program.

    docstring       request and first test as a docstring; the completion goes on with the program. Of a problem with a
                    stub (HumanEval) the stub itself, which the completion goes on with: it is executed before it
    few-shot        the prompt of MBPP's paper (arXiv 2108.07732) with solved problems in front, for plain base models
    chat            a request in words, for the tokenizer's chat template; the answer is one ```python block
    dense-reward    the prompt of arXiv 2605.21180 for code, system message included; through the chat template, too
    securecode      the prompt of SecureCodeRL (arXiv 2601.01184), which has no place for tests
    securecode-sft  the one that it has for supervised fine-tuning

Here is what is asked, and how the program is found in what is answered; token ids are experiments/inputs/policy.py's.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import NamedTuple

from data.problems import Problem

STYLES = ("docstring", "few-shot", "chat", "dense-reward", "securecode", "securecode-sft")
CHATS = ("chat", "dense-reward")  # those that need a chat template
RULES = ("first", "longest")

LONGEST = 1000  # characters of a test that is shown. A case of APPS may have a million
DONE = "[DONE]"
# A line of its own: three backticks, and at the opening perhaps the language.
FENCE = re.compile(r"^ {0,3}```[ \t]*([\w+.-]*)[ \t]*(?:\r\n|\r|\n|\Z)", re.MULTILINE)
LANGUAGES = ("", "py", "python", "python3")
CLOSING_FENCES = ("\n```", "\n ```", "\n  ```", "\n   ```")  # the opening one stands on a line before
# A function's body is over where a line begins like this: what a base model writes when it has nothing more to say.
# (Brackets and strings may go on at the margin, so not every such line ends it.)
BODY_ENDS = (
    *("\ndef ", "\nasync def ", "\nclass ", "\n@", "\nif ", "\nprint(", "\nassert ", "\nimport ", "\nfrom ", "\n#"),
    "\n```",
)
_BODY_END = re.compile("|".join(map(re.escape, BODY_ENDS)))
_OPEN_THOUGHT, _CLOSE_THOUGHT = "<think>", "</think>"

# For prompts that show solved problems, where the caller gives none of the kind. They are in no benchmark.
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
class Asking:
    """How problems are put to a model, and how programs are found in its answers.

    style       one of STYLES
    thinking    whether a chat template that has a switch for it (enable_thinking) lets the model think first
    rule        which one of several fenced blocks is the program: the first or the longest
    stop        whether an answer is ended where its style ends it (has_ended), or by the model alone
    shots       solved problems for the few-shot style
    in_thought  whether prompts end within a thought, as some chat templates have it: then the answer begins there
    """

    style: str = "docstring"
    thinking: bool = False
    rule: str = "first"
    stop: bool = True
    shots: tuple[Problem, ...] = ()
    in_thought: bool = False


DOCSTRING = Asking()  # how the embedded model is asked


# From a problem to a prompt -------------------------------------------------------------------------------------


def build_prompt(problem: Problem, asking: Asking = DOCSTRING) -> str:
    """The text of a style that needs no chat template.

    Example: '\"\"\"\\nWrite a function to add two numbers.\\nassert add(1, 2) == 3\\n\"\"\"\\n'
    """
    match asking.style:
        case "docstring":
            return problem.stub or format_prompt(problem.text, _first_test(problem) or _form(problem))
        case "few-shot":
            solved = [f"{_task(shot)}{shot.code.rstrip()}\n{DONE}\n\n" for shot in _shots(problem, asking)]
            return "".join([*solved, _task(problem)])
        case "securecode":
            return _secure_code(problem.text, "code")
        case "securecode-sft":
            return _secure_code(problem.text, "Python code")
    raise ValueError(f"style {asking.style!r}: has no prompt without a chat template")


def build_messages(problem: Problem, asking: Asking) -> list[dict[str, str]]:
    """The messages of a style in CHATS, for a chat template."""
    if asking.style == "chat":
        return [{"role": "user", "content": _request(problem)}]
    if asking.style == "dense-reward":
        system = "You are a helpful Python assistant.\n you follow the instruction exactly."
        request = (
            "Create a python Program with following instructions. "
            "Only create the asked function with no other output.\n # Instruction: "
        )
        instruction = problem.stub or f"{problem.text}\n{_first_test(problem) or _form(problem)}"
        return [{"role": "system", "content": system}, {"role": "user", "content": request + instruction}]
    raise ValueError(f"style {asking.style!r}: is none for a chat template")


def format_prompt(text: str, test: str) -> str:
    """The one place that knows the format: the base is pretrained on it, too."""
    return f'"""\n{text}\n{test}\n"""\n'


def continues_stub(problem: Problem, asking: Asking) -> bool:
    """Whether the prompt ends with the problem's stub, so that the completion goes on with the function's body."""
    return asking.style == "docstring" and problem.stub != ""


def _first_test(problem: Problem) -> str:
    """The first test or case that is not too long to be shown; "" where there is none."""
    cases = (f"Input:\n{stdin.rstrip()}\nOutput:\n{stdout.rstrip()}" for stdin, stdout in problem.cases)
    return next((test for test in (*problem.examples, *cases) if len(test) <= LONGEST), "")


def _form(problem: Problem) -> str:
    """What a program has to look like, to be tested at all."""
    if problem.cases:
        return "Write it as a Python program that reads stdin and prints its results to stdout."
    return f"Write it as a Python function called {problem.entry_point}."


def _task(problem: Problem) -> str:
    """MBPP's request; of a benchmark's tests its own first three, as in its paper."""
    expert = "You are an expert Python programmer, and here is your task: "
    if problem.stub:
        return f"{expert}Complete this function, and give the whole of it.\n\n{problem.stub.rstrip()}\n[BEGIN]\n"
    tests = "\n".join(test for test in problem.examples[:3] if len(test) <= LONGEST) or _first_test(problem)
    asked = f"Your code should pass these tests:\n\n{tests}" if tests else _form(problem)
    return f"{expert}{problem.text} {asked}\n[BEGIN]\n"


def _shots(problem: Problem, asking: Asking) -> list[Problem]:
    """Solved problems of the same kind: functions, or whole programs."""
    given, own = (
        [shot for shot in shots if bool(shot.cases) == bool(problem.cases)] for shots in (asking.shots, OWN_SHOTS)
    )
    return given or own


def _request(problem: Problem) -> str:
    answer = "Answer with the whole program, imports included, in one ```python block."
    if problem.stub:
        return f"Complete this Python function:\n\n```python\n{problem.stub.rstrip()}\n```\n\n{answer}"
    test = _first_test(problem)
    example = f" {'For example:' if problem.cases else 'It has to pass this test:'}\n\n{test}" if test else ""
    return f"{problem.text}\n\n{_form(problem)}{example}\n\n{answer}"


def _secure_code(question: str, what: str) -> str:
    """A function without arguments, named after its question: the paper's programs read stdin."""
    digest = hashlib.md5(question[:50].encode(), usedforsecurity=False).hexdigest()
    stub = f'def solve_{digest[:5]}():\n    """{question}\n    """\n'
    return f"### Instruction:\nComplete the following {what}:\n\n{stub}\n\n### Response:\n"


def write_answer(problem: Problem, solution: str, asking: Asking) -> str:
    """A solution as the style's own answer: what supervised fine-tuning teaches. `solution` is a whole program.

    In a chat a ```python block (after the end of the thought that the prompt may have begun); after a stub what is left
    of the function; in few-shot prompts the program and [DONE]; else the program as it is.
    ValueError for no solution, and for one that does not begin with the stub that is to be gone on from.
    """
    code = solution.rstrip()  # what ends an answer is the token, not an empty line
    if not code:
        raise ValueError(f"task_id {problem.task_id}: has no solution to learn")
    if continues_stub(problem, asking):
        if not code.startswith(problem.stub):
            raise ValueError(f"task_id {problem.task_id}: its solution does not begin with its stub")
        return code.removeprefix(problem.stub)
    if asking.style in CHATS:
        return f"{_CLOSE_THOUGHT}\n\n" * asking.in_thought + f"```python\n{code}\n```"
    return f"{code}\n{DONE}" if asking.style == "few-shot" else code


# From a completion to a program ---------------------------------------------------------------------------------


class Program(NamedTuple):
    """Where the program stands in a completion: the characters [start, end); whether a closed fence holds it."""

    start: int
    end: int
    fenced: bool


def read_answer(completion: str, problem: Problem, asking: Asking) -> tuple[Program, str]:
    """The program, and the code that is executed before it.

    That is the stub, where the completion goes on from one; but "" where the program defines the function itself, and a
    fence (or a thought) stands before it: such an answer begins anew.
    """
    goes_on = continues_stub(problem, asking)
    program = extract_program(completion, asking, goes_on)
    whole = re.compile(rf"^(?:async )?def {re.escape(problem.entry_point)}\b", re.MULTILINE)
    is_whole = program.start > 0 and whole.search(completion[program.start : program.end])
    return program, problem.stub if goes_on and not is_whole else ""


def extract_program(completion: str, asking: Asking = DOCSTRING, goes_on: bool = False) -> Program:
    """The first (or longest) fenced code block of no language or Python, and nothing around it; without a block, all.

    Before anything else a thought is passed over: all up to the last "</think>". One that is not closed leaves an empty
    program at the end. Few-shot answers end before "[DONE]". Where the completion goes on from a stub (`goes_on`), its
    first line decides: an indented one is the function's body, which ends before the first of BODY_ENDS, fences
    included; and so ends any answer without a block.
    A fence that is never closed ends with the text, and does not count as one. Every reward sees this one range, so
    code elsewhere earns nothing anywhere. Example: "Here:\\n```python\\nx = 1\\n```\\n" is (16, 22, True): "x = 1\\n".
    """
    start = _answer_start(completion, asking.in_thought)
    done = completion.find(DONE, start) if asking.style == "few-shot" else -1
    end = len(completion) if done < 0 else done
    blocks = [] if goes_on and _is_indented(completion[start:]) else _find_blocks(completion, start, end)
    if blocks:
        return blocks[0] if asking.rule == "first" else max(blocks, key=lambda block: block.end - block.start)
    over = _BODY_END.search(completion, start) if goes_on else None
    return Program(start, end if over is None else over.start() + 1, False)  # its last line end is the program's


def has_ended(completion: str, asking: Asking, goes_on: bool) -> bool:
    """Whether an answer that is still being written has its program, whatever else may follow.

    In a chat when the first block is closed, unless a longer one is wanted; in few-shot prompts at "[DONE]"; after a
    stub at the end of the body. Answers of the other styles end with the model's own end of sequence.
    """
    start = _answer_start(completion, asking.in_thought)
    if goes_on:
        return _is_indented(completion[start:]) and _BODY_END.search(completion, start) is not None
    if asking.style == "few-shot":
        return DONE in completion[start:]
    if asking.style not in CHATS or asking.rule != "first":
        return False
    blocks = _find_blocks(completion, start, len(completion))
    return bool(blocks) and blocks[0].fenced


def end_marks(asking: Asking, goes_on: bool) -> tuple[str, ...]:
    """Strings of which one must have come last, for has_ended() to have become true; none where it never is."""
    if not asking.stop:
        return ()
    if goes_on:
        return BODY_ENDS
    if asking.style == "few-shot":
        return (DONE,)
    return CLOSING_FENCES if asking.style in CHATS and asking.rule == "first" else ()


def _answer_start(completion: str, in_thought: bool) -> int:
    """The character behind the model's thought; the end of the text as long as it is not closed."""
    closed = completion.rfind(_CLOSE_THOUGHT)
    if closed < 0 and in_thought:
        return len(completion)
    start = 0 if closed < 0 else closed + len(_CLOSE_THOUGHT)
    return len(completion) if completion[start:].lstrip().startswith(_OPEN_THOUGHT) else start


def _is_indented(text: str) -> bool:
    """Whether its first line that is not blank begins with blanks."""
    blanks = text[: len(text) - len(text.lstrip())]
    return blanks.rpartition("\n")[2] != "" and blanks != text


def _find_blocks(completion: str, start: int, end: int) -> list[Program]:
    """The fenced blocks of no language or Python within [start, end), in their order; the last may be open."""
    blocks, opening = [], None
    for fence in FENCE.finditer(completion[start:end]):
        if opening is None:
            opening = fence
        elif not fence[1]:  # closes the block
            if opening[1].lower() in LANGUAGES:
                blocks.append(Program(start + opening.end(), start + fence.start(), True))
            opening = None
    if opening is not None and opening[1].lower() in LANGUAGES:
        blocks.append(Program(start + opening.end(), end, False))
    return blocks
