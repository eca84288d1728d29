"""From an answer back to its program, and where an answer ends."""

import random

import pytest

from data.problems import Problem
from data.programs import BODY_ENDS, end_marks, extract_program, has_ended, read_answer, write_answer
from data.prompts import CHATS, OWN_SHOTS, STYLES, PromptFormat
from data.sets import humaneval

CODE = "def f():\n    return 1\n"
CHAT, FEW_SHOT = PromptFormat("chat"), PromptFormat("few-shot")
STUB = 'from typing import List\n\n\ndef total(xs: List[int]) -> int:\n    """Sum of xs."""\n'
COMPLETED = Problem("T/0", "Sum of xs.", STUB + "    return sum(xs)\n", entry_point="total", stub=STUB)
KINDS = {"function": OWN_SHOTS[0], "stub": COMPLETED, "program": OWN_SHOTS[3]}


@pytest.mark.parametrize(
    ("completion", "program", "fenced"),
    [
        (CODE, CODE, False),
        ("", "", False),
        (f"```python\n{CODE}```", CODE, True),
        (f"Sure:\n```\n{CODE}```\nx = 2\n", CODE, True),
        (f"``` py \r\n{CODE}  ```  \nmore", CODE, True),
        (f"```bash\nls\n```\n```python\n{CODE}```", CODE, True),
        (f"```python\n{CODE}```\n```python\nx = 3\n```", CODE, True),
        (f"```python\n{CODE}", CODE, False),
        (f"```python\n{CODE}# ```\n", CODE + "# ```\n", False),
        ("```python", "", False),
        ("x = '```python'\n", "x = '```python'\n", False),
        ("```python\n```", "", True),
        # thoughts
        (f"<think>\nx\n</think>\n\n```python\n{CODE}```", CODE, True),
        (f"<think>\n```python\nx = 3\n```\n</think>```python\n{CODE}```", CODE, True),
        (f"Hm.\n</think>\n```python\n{CODE}```", CODE, True),  # the prompt had opened it
        (f" \n<think>\n```python\n{CODE}```", "", False),
        (f"<think>a</think><think>\n```python\n{CODE}```", "", False),
        (f"<think>a</think>b</think>{CODE}", CODE, False),
        (f"x = '<think>'\n{CODE}", f"x = '<think>'\n{CODE}", False),
    ],
)
def test_the_first_block_is_the_program(completion, program, fenced):
    """Text around a fence, a second block, or a draft in a thought is executed, or an open fence counts as closed."""
    start, end, found = extract_program(completion)
    assert (completion[start:end], found) == (program, fenced)
    assert program or (start, end) == (len(completion),) * 2 or fenced


@pytest.mark.parametrize(
    ("completion", "program", "fenced"),
    [
        (f"```python\nx = 3\n```\n```python\n{CODE}```", CODE, True),
        (f"```python\n{CODE}```\n```python\nx = 3\n```", CODE, True),
        (f"```\n{CODE}```\n```python\n{CODE}```", CODE, True),
        (f"```python\nx\n```\n```bash\n{'ls ' * 99}\n```\n```py\n{CODE}", CODE, False),
        (CODE, CODE, False),
    ],
)
def test_the_longest_block(completion, program, fenced):
    """The program is the first block, the second of two equally long ones, or a block in another language."""
    start, end, found = extract_program(completion, PromptFormat("chat", rule="longest"))
    assert (completion[start:end], found) == (program, fenced)
    assert start == completion.index(program)


@pytest.mark.parametrize(
    ("completion", "program"),
    [
        (f"{CODE}[DONE]\nYou are", CODE),
        (f"{CODE}", CODE),
        ("[DONE]", ""),
        (f"```python\n{CODE}```\n[DONE]\n```python\nx = 3\n```", CODE),
        (f"```python\n{CODE}[DONE]\nx", CODE),
    ],
)
def test_few_shot_programs_end_before_their_mark(completion, program):
    """[DONE], or the invented task after it, is executed as Python."""
    start, end, _ = extract_program(completion, FEW_SHOT)
    assert completion[start:end] == program


WHOLE = f"{STUB}    return sum(xs)\n"


@pytest.mark.parametrize(
    ("completion", "executed"),
    [
        ("    return sum(xs)\n", WHOLE),
        ("\n    return sum(xs)", f"{STUB}\n    return sum(xs)"),
        *((f"    return sum(xs)\n{end}more", WHOLE + "\n") for end in BODY_ENDS),
        ("    return sum(xs)\n```\n\nFor example:\n```python\nprint(total([1]))\n```\n", WHOLE),
        ("    return sum(\n        xs\n)\n", f"{STUB}    return sum(\n        xs\n)\n"),
        ("def total(xs):\n    return 1\n\nprint(1)\n", f"{STUB}def total(xs):\n    return 1\n\n"),
        (f"```python\n{WHOLE}\nimport os\n```", f"{WHOLE}\nimport os\n"),  # the whole function: no stub before it
        ("Here:\n```python\ndef total(xs):\n    return 1", "def total(xs):\n    return 1"),
        ("```python\n    return sum(xs)\n```\n", WHOLE),
        ("```\n    return sum(xs)\n```\n", WHOLE),
        ("", STUB),
    ],
)
def test_completions_of_a_stub(completion, executed):
    """A stub is executed twice or never, or text after the function's body is executed, too."""
    program, prefix = read_answer(completion, COMPLETED, PromptFormat())
    assert prefix + completion[program.start : program.end] == executed
    program, prefix = read_answer(completion, COMPLETED, CHAT)
    assert prefix == ""


def test_references_of_humaneval_are_bodies(humaneval_file):
    """A line inside a body is mistaken for its end."""
    for problem in humaneval.read(humaneval_file):
        text = problem.code.removeprefix(problem.stub)
        program, prefix = read_answer(text, problem, PromptFormat())
        assert prefix + text[program.start : program.end] == problem.code, problem.task_id


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", [*map(PromptFormat, STYLES), PromptFormat("chat", in_thought=True)], ids=str)
def test_written_answers_are_read_back(form, kind):
    """SFT trains on answers whose program is not the solution, or that sampling would end elsewhere."""
    problem = KINDS[kind]
    text = write_answer(problem, problem.code, form)
    program, prefix = read_answer(text, problem, form)
    assert (prefix + text[program.start : program.end]).rstrip() == problem.code.rstrip()
    assert program.fenced == (form.style in CHATS)
    after_stub = bool(prefix)
    if end_marks(form, after_stub) and not after_stub:
        assert has_ended(text, form, after_stub)
        assert not has_ended(text[:-1], form, after_stub)


def test_solutions_that_cannot_be_written():
    """SFT trains on an empty answer, or on a whole program after a stub."""
    with pytest.raises(ValueError, match="T/0: has no solution"):
        write_answer(COMPLETED, " \n", CHAT)
    with pytest.raises(ValueError, match="T/0: its solution does not begin with its stub"):
        write_answer(COMPLETED, CODE, PromptFormat())


# Ends ---------------------------------------------------------------------------------------------------------

LINES = ["```", "```python", "```bash", "x = 1", "    return 1", "", "[DONE]", "print(1)", "def g():", "# y", "words"]


@pytest.mark.parametrize(
    ("form", "after_stub"),
    [
        (CHAT, False),
        (PromptFormat("chat", rule="longest"), False),
        (FEW_SHOT, False),
        (PromptFormat(), True),
        (PromptFormat(), False),
    ],
    ids=["first", "longest", "few-shot", "stub", "docstring"],
)
@pytest.mark.parametrize("head", ["", "<think>\n```python\nx\n```\n[DONE]\n</think>\n"], ids=["plain", "thought"])
def test_what_comes_after_an_end_changes_nothing(form, after_stub, head):
    """An answer is ended before its program is complete, or never."""
    rng, ended = random.Random(1), 0
    for _ in range(300):
        lines = rng.choices(LINES, k=rng.randint(1, 9))
        text = head + "".join(f"{line}\n" for line in lines)
        whole = extract_program(text, form, after_stub)
        for count in range(len(lines) + 1):
            shorter = head + "".join(f"{line}\n" for line in lines[:count])
            if has_ended(shorter, form, after_stub):
                assert extract_program(shorter, form, after_stub) == whole, text
                ended += 1
                break
        else:
            assert not (form == CHAT and whole.fenced), text
            assert not (form == FEW_SHOT and "[DONE]" in text[len(head) :]), text
    assert (ended > 10) == bool(end_marks(form, after_stub))
    assert not end_marks(PromptFormat(form.style, stop=False), after_stub)


def test_no_end_within_a_thought():
    """A closed fence inside a thought ends the answer."""
    draft = "```python\nx = 1\n```\n"
    assert has_ended(draft, CHAT, False)
    assert not has_ended(f"<think>\n{draft}", CHAT, False)
    assert not has_ended(draft, PromptFormat("chat", in_thought=True), False)
    assert has_ended(f"{draft}</think>\n{draft}", PromptFormat("chat", in_thought=True), False)
    assert extract_program(draft, PromptFormat("chat", in_thought=True)) == (len(draft), len(draft), False)
