"""From a problem to what is asked, and from a completion back to its program."""

import io
import random
import sys

import pytest

from data.problems import Problem
from data.prompts import (
    BODY_ENDS,
    CHATS,
    OWN_SHOTS,
    STYLES,
    Asking,
    build_messages,
    build_prompt,
    end_marks,
    extract_program,
    has_ended,
    read_answer,
    write_answer,
)
from data.sets import humaneval, mbpp

CODE = "def f():\n    return 1\n"
CHAT, FEW_SHOT = Asking("chat"), Asking("few-shot")

FUNCTION = Problem(
    7,
    "Write a function to add two numbers.",
    "def add(a, b):\n    return a + b\n",
    ("assert add(1, 2) == 3", "assert add(0, 0) == 0", "assert add(1, 1) == 2", "assert add(2, 2) == 4"),
    "add",
)
STUB = 'from typing import List\n\n\ndef total(xs: List[int]) -> int:\n    """Sum of xs."""\n'
COMPLETED = Problem(
    "T/0", "Sum of xs.", STUB + "    return sum(xs)\n", (), "total", check="def check(f): ...\n", stub=STUB
)
PROGRAM = Problem(
    "p",
    "Write a program to add two numbers that stand on one line of stdin.",
    "print(sum(map(int, input().split())))\n",
    cases=(("1 2\n", "3\n"), ("0 0\n", "0\n")),
)
KINDS = {"function": FUNCTION, "stub": COMPLETED, "program": PROGRAM}


# Prompts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "prompt"),
    [
        (FUNCTION, '"""\nWrite a function to add two numbers.\nassert add(1, 2) == 3\n"""\n'),
        (COMPLETED, STUB),
        (PROGRAM, f'"""\n{PROGRAM.text}\nInput:\n1 2\nOutput:\n3\n"""\n'),
    ],
    ids=KINDS,
)
def test_docstring_prompts(problem, prompt):
    """A character of the embedded model's prompt that changes, or a stub that is shown with something around it."""
    assert build_prompt(problem) == prompt


def test_few_shot_prompts():
    """MBPP's prompt in other words, with tests that EvalPlus added, or with shots of another kind."""
    shot = Problem(2, "Write a function to double.", "def d(x):\n    return 2 * x\n\n", ("assert d(1) == 2",), "d")
    extended = Problem(1, FUNCTION.text, FUNCTION.code, FUNCTION.test_list, "add", base_tests=2)
    asked = build_prompt(extended, Asking("few-shot", shots=(shot, *OWN_SHOTS[3:])))
    assert asked == (
        "You are an expert Python programmer, and here is your task: Write a function to double. "
        "Your code should pass these tests:\n\nassert d(1) == 2\n[BEGIN]\ndef d(x):\n    return 2 * x\n[DONE]\n\n"
        "You are an expert Python programmer, and here is your task: Write a function to add two numbers. "
        "Your code should pass these tests:\n\nassert add(1, 2) == 3\nassert add(0, 0) == 0\n[BEGIN]\n"
    )
    assert build_prompt(FUNCTION, FEW_SHOT).count("[BEGIN]\n") == 4
    assert build_prompt(FUNCTION, FEW_SHOT).endswith("\n".join(FUNCTION.test_list[:3]) + "\n[BEGIN]\n")
    asked = build_prompt(PROGRAM, Asking("few-shot", shots=(shot,)))
    assert "def " not in asked
    assert asked.endswith("tests:\n\nInput:\n1 2\nOutput:\n3\n[BEGIN]\n")
    assert build_prompt(COMPLETED, FEW_SHOT).endswith(f"the whole of it.\n\n{STUB}[BEGIN]\n")


def test_the_papers_prompts():
    """A word of a paper's prompt, or a line break, that is not the paper's."""
    system, user = build_messages(FUNCTION, Asking("dense-reward"))
    assert system == {
        "role": "system",
        "content": "You are a helpful Python assistant.\n you follow the instruction exactly.",
    }
    assert user["role"] == "user"
    assert user["content"] == (
        "Create a python Program with following instructions. Only create the asked function with no other output."
        "\n # Instruction: Write a function to add two numbers.\nassert add(1, 2) == 3"
    )
    assert build_prompt(PROGRAM, Asking("securecode")) == (  # the name is from md5sum
        "### Instruction:\nComplete the following code:\n\ndef solve_ffe2b():\n    "
        f'"""{PROGRAM.text}\n    """\n\n\n### Response:\n'
    )
    assert build_prompt(PROGRAM, Asking("securecode-sft")).startswith(
        "### Instruction:\nComplete the following Python code:\n\ndef solve_ffe2b():\n"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_chat_says_what_the_judge_needs(kind):
    """A request that leaves out the function's name, the stub, or how a program gets its input."""
    (message,) = build_messages(KINDS[kind], CHAT)
    needed = {
        "function": [FUNCTION.text, FUNCTION.test_list[0]],
        "stub": [STUB],
        "program": [PROGRAM.text, "stdin", "Input:\n1 2\nOutput:\n3\n"],
    }
    for words in [*needed[kind], "```python block"]:
        assert words in message["content"]


@pytest.mark.parametrize("style", STYLES)
def test_long_tests_are_not_shown(style):
    """A megabyte of input in the prompt; or, where no test is short, a function whose name nobody can know."""
    long = "9" * 5000
    function = Problem(1, "Add.", "", (f"assert add({long}, 2) == 3",), "add")
    for problem in (function, Problem(2, "Add.", "", cases=((f"{long}\n", "3\n"),))):
        asking = Asking(style)
        messages = [m["content"] for m in build_messages(problem, asking)] if style in CHATS else []
        asked = "".join(messages) or build_prompt(problem, asking)
        assert long not in asked
        if not style.startswith("securecode"):  # that prompt says nothing but the request
            assert ("called add" if problem is function else "stdin") in asked


def test_own_shots_are_right(monkeypatch, capsys):
    """A solved problem of a prompt that teaches a wrong program."""
    for shot in OWN_SHOTS:
        for stdin, stdout in shot.cases:
            monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
            exec(shot.code, {})
            assert capsys.readouterr().out == stdout
        if shot.test_list:
            exec("\n".join([shot.code, *shot.test_list]), {})


# Programs -----------------------------------------------------------------------------------------------------


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
    """Text around a fence that is executed, a second block that is, an open fence that counts as closed, a draft that
    the model only thought of."""
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
    """The first block in place of the longest, the second of two that are as long, or one in another language."""
    start, end, found = extract_program(completion, Asking("chat", rule="longest"))
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
    """[DONE], or the next made-up task behind it, executed as Python."""
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
def test_what_goes_on_from_a_stub(completion, executed):
    """A stub that is executed twice or not at all, or what a base model writes after the function executed with it."""
    program, prefix = read_answer(completion, COMPLETED, Asking())
    assert prefix + completion[program.start : program.end] == executed
    program, prefix = read_answer(completion, COMPLETED, CHAT)
    assert prefix == ""


def test_references_of_humaneval_are_bodies(humaneval_file):
    """A body that is cut short, as one of its lines looks like an end."""
    for problem in humaneval.read(humaneval_file):
        text = problem.code.removeprefix(problem.stub)
        program, prefix = read_answer(text, problem, Asking())
        assert prefix + text[program.start : program.end] == problem.code, problem.task_id


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("asking", [*map(Asking, STYLES), Asking("chat", in_thought=True)], ids=str)
def test_written_answers_are_read_back(asking, kind):
    """SFT on answers whose program is another than the solution, or that sampling would have ended elsewhere."""
    problem = KINDS[kind]
    text = write_answer(problem, problem.code, asking)
    program, prefix = read_answer(text, problem, asking)
    assert (prefix + text[program.start : program.end]).rstrip() == problem.code.rstrip()
    assert program.fenced == (asking.style in CHATS)
    goes_on = bool(prefix)
    if end_marks(asking, goes_on) and not goes_on:
        assert has_ended(text, asking, goes_on)
        assert not has_ended(text[:-1], asking, goes_on)


def test_solutions_that_cannot_be_written():
    """An empty answer that is learned, or a whole program put behind a stub."""
    with pytest.raises(ValueError, match="T/0: has no solution"):
        write_answer(COMPLETED, " \n", CHAT)
    with pytest.raises(ValueError, match="T/0: its solution does not begin with its stub"):
        write_answer(COMPLETED, CODE, Asking())


# Ends ---------------------------------------------------------------------------------------------------------

LINES = ["```", "```python", "```bash", "x = 1", "    return 1", "", "[DONE]", "print(1)", "def g():", "# y", "words"]


@pytest.mark.parametrize(
    ("asking", "goes_on"),
    [(CHAT, False), (Asking("chat", rule="longest"), False), (FEW_SHOT, False), (Asking(), True), (Asking(), False)],
    ids=["first", "longest", "few-shot", "stub", "docstring"],
)
@pytest.mark.parametrize("head", ["", "<think>\n```python\nx\n```\n[DONE]\n</think>\n"], ids=["plain", "thought"])
def test_what_comes_after_an_end_changes_nothing(asking, goes_on, head):
    """An answer that is cut off before its program is there, or one that is never ended although it is."""
    rng, ended = random.Random(1), 0
    for _ in range(300):
        lines = rng.choices(LINES, k=rng.randint(1, 9))
        text = head + "".join(f"{line}\n" for line in lines)
        whole = extract_program(text, asking, goes_on)
        for count in range(len(lines) + 1):
            shorter = head + "".join(f"{line}\n" for line in lines[:count])
            if has_ended(shorter, asking, goes_on):
                assert extract_program(shorter, asking, goes_on) == whole, text
                ended += 1
                break
        else:
            assert not (asking == CHAT and whole.fenced), text
            assert not (asking == FEW_SHOT and "[DONE]" in text[len(head) :]), text
    assert (ended > 10) == bool(end_marks(asking, goes_on))
    assert not end_marks(Asking(asking.style, stop=False), goes_on)


def test_no_end_within_a_thought():
    """A draft with a closed fence that ends the answer before it has begun."""
    draft = "```python\nx = 1\n```\n"
    assert has_ended(draft, CHAT, False)
    assert not has_ended(f"<think>\n{draft}", CHAT, False)
    assert not has_ended(draft, Asking("chat", in_thought=True), False)
    assert has_ended(f"{draft}</think>\n{draft}", Asking("chat", in_thought=True), False)
    assert extract_program(draft, Asking("chat", in_thought=True)) == (len(draft), len(draft), False)


def test_mbpp_has_its_shots(mbpp_file):
    """The problems whose solutions are shown evaluated as well: MBPP keeps 1 to 10 for prompts."""
    shots = tuple(problem for problem in mbpp.read(mbpp_file) if problem.task_id in (2, 3, 4))
    assert {shot.split for shot in shots} == {"prompt"}
    asked = build_prompt(FUNCTION, Asking("few-shot", shots=shots))
    assert asked.count("[DONE]") == 3
    assert "def similar_elements(" in asked
