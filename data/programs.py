"""From a solution to an answer in a prompt's style (write_answer), and from an answer to its program (read_answer)."""

import re
from typing import NamedTuple

from data.problems import Problem
from data.prompts import CHATS, DOCSTRING, DONE, PromptFormat, continues_stub

# A line of its own: three backticks, for an opening fence optionally with the language.
FENCE = re.compile(r"^ {0,3}```[ \t]*([\w+.-]*)[ \t]*(?:\r\n|\r|\n|\Z)", re.MULTILINE)
LANGUAGES = ("", "py", "python", "python3")
CLOSING_FENCES = ("\n```", "\n ```", "\n  ```", "\n   ```")  # a newline comes first: the opening fence is above
# A line with such a beginning ends a function's body: a base model writes these after the function. Not every
# unindented line ends it, because brackets and strings may continue there.
BODY_ENDS = (
    *("\ndef ", "\nasync def ", "\nclass ", "\n@", "\nif ", "\nprint(", "\nassert ", "\nimport ", "\nfrom ", "\n#"),
    "\n```",
)
_BODY_END = re.compile("|".join(map(re.escape, BODY_ENDS)))
_OPEN_THOUGHT, _CLOSE_THOUGHT = "<think>", "</think>"


class Program(NamedTuple):
    """The characters [start, end) of a completion; `fenced` if they are in a closed fence."""

    start: int
    end: int
    fenced: bool


def write_answer(problem: Problem, solution: str, form: PromptFormat) -> str:
    """A solution, which is a whole program, as an answer for supervised fine-tuning.

    In a chat, the answer is a ```python block, after the end of the thought if the prompt begins one. After a stub, it
    is the rest of the function; in few-shot prompts the program and [DONE]; in other styles the program alone.
    ValueError if the solution is empty, or does not begin with the stub in the prompt.
    """
    code = solution.rstrip()  # the end-of-sequence token ends an answer, not an empty line
    if not code:
        raise ValueError(f"task_id {problem.task_id}: has no solution to learn")
    if continues_stub(problem, form):
        if not code.startswith(problem.stub):
            raise ValueError(f"task_id {problem.task_id}: its solution does not begin with its stub")
        return code.removeprefix(problem.stub)
    if form.style in CHATS:
        return f"{_CLOSE_THOUGHT}\n\n" * form.in_thought + f"```python\n{code}\n```"
    return f"{code}\n{DONE}" if form.style == "few-shot" else code


def read_answer(completion: str, problem: Problem, form: PromptFormat) -> tuple[Program, str]:
    """The program of a completion, and the code to execute before it.

    That code is the stub if the completion continues it. It is "" if the program, after a fence or a thought, defines
    the whole function again.
    """
    after_stub = continues_stub(problem, form)
    program = extract_program(completion, form, after_stub)
    definition = re.compile(rf"^(?:async )?def {re.escape(problem.entry_point)}\b", re.MULTILINE)
    is_whole = program.start > 0 and definition.search(completion[program.start : program.end])
    return program, problem.stub if after_stub and not is_whole else ""


def extract_program(completion: str, form: PromptFormat = DOCSTRING, after_stub: bool = False) -> Program:
    """The first (or longest) fenced code block of Python or no language; without such a block, the whole completion.

    A thought is skipped first: everything up to the last "</think>". An open thought leaves an empty program at the
    end. Few-shot answers end before "[DONE]". If the completion continues a stub (`after_stub`) and its first line is
    indented, it is the function's body: fences are no blocks then, and it ends before the first of BODY_ENDS. Other
    answers after a stub that have no block end there, too.
    A fence that is never closed extends to the end of the text, and is not `fenced`. All rewards see this same range.
    Example: "Here:\\n```python\\nx = 1\\n```\\n" gives (16, 22, True), "x = 1\\n".
    """
    start = _answer_start(completion, form.in_thought)
    done = completion.find(DONE, start) if form.style == "few-shot" else -1
    end = len(completion) if done < 0 else done
    blocks = [] if after_stub and _is_indented(completion[start:]) else _find_blocks(completion, start, end)
    if blocks:
        return blocks[0] if form.rule == "first" else max(blocks, key=lambda block: block.end - block.start)
    body_end = _BODY_END.search(completion, start) if after_stub else None
    return Program(start, end if body_end is None else body_end.start() + 1, False)  # + 1: with its last newline


def has_ended(completion: str, form: PromptFormat, after_stub: bool) -> bool:
    """Whether an unfinished answer has its whole program already, so that later tokens cannot change it.

    In a chat, this is so when the first block is closed (unless the longest is wanted); in few-shot prompts at
    "[DONE]"; after a stub at the end of the body. In other styles only the end of sequence ends an answer.
    """
    start = _answer_start(completion, form.in_thought)
    if after_stub:
        return _is_indented(completion[start:]) and _BODY_END.search(completion, start) is not None
    if form.style == "few-shot":
        return DONE in completion[start:]
    if form.style not in CHATS or form.rule != "first":
        return False
    blocks = _find_blocks(completion, start, len(completion))
    return bool(blocks) and blocks[0].fenced


def end_marks(form: PromptFormat, after_stub: bool) -> tuple[str, ...]:
    """Strings, one of which must have just been written when has_ended() becomes true; () if it never does."""
    if not form.stop:
        return ()
    if after_stub:
        return BODY_ENDS
    if form.style == "few-shot":
        return (DONE,)
    return CLOSING_FENCES if form.style in CHATS and form.rule == "first" else ()


def _answer_start(completion: str, in_thought: bool) -> int:
    """The character after the model's thought; the end of the text while the thought is open."""
    closed = completion.rfind(_CLOSE_THOUGHT)
    if closed < 0 and in_thought:
        return len(completion)
    start = 0 if closed < 0 else closed + len(_CLOSE_THOUGHT)
    return len(completion) if completion[start:].lstrip().startswith(_OPEN_THOUGHT) else start


def _is_indented(text: str) -> bool:
    """Whether the first non-blank line is indented."""
    blanks = text[: len(text) - len(text.lstrip())]
    return blanks.rpartition("\n")[2] != "" and blanks != text


def _find_blocks(completion: str, start: int, end: int) -> list[Program]:
    """The fenced blocks of Python or no language within [start, end), in order; the last may be open."""
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
