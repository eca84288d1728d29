"""From a problem to the prompt of each style."""

import io
import sys

import pytest

from data.problems import Problem
from data.prompts import CHATS, OWN_SHOTS, STYLES, PromptFormat, build_messages, build_prompt
from data.sets import mbpp

CHAT, FEW_SHOT = PromptFormat("chat"), PromptFormat("few-shot")

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
    """The embedded model's prompt changes by a character, or a stub gets other text around it."""
    assert build_prompt(problem) == prompt


def test_few_shot_prompts():
    """MBPP's prompt has other words, EvalPlus's tests, or solved problems of the other kind."""
    shot = Problem(2, "Write a function to double.", "def d(x):\n    return 2 * x\n\n", ("assert d(1) == 2",), "d")
    extended = Problem(1, FUNCTION.text, FUNCTION.code, FUNCTION.test_list, "add", base_tests=2)
    asked = build_prompt(extended, PromptFormat("few-shot", shots=(shot, *OWN_SHOTS[3:])))
    assert asked == (
        "You are an expert Python programmer, and here is your task: Write a function to double. "
        "Your code should pass these tests:\n\nassert d(1) == 2\n[BEGIN]\ndef d(x):\n    return 2 * x\n[DONE]\n\n"
        "You are an expert Python programmer, and here is your task: Write a function to add two numbers. "
        "Your code should pass these tests:\n\nassert add(1, 2) == 3\nassert add(0, 0) == 0\n[BEGIN]\n"
    )
    assert build_prompt(FUNCTION, FEW_SHOT).count("[BEGIN]\n") == 4
    assert build_prompt(FUNCTION, FEW_SHOT).endswith("\n".join(FUNCTION.test_list[:3]) + "\n[BEGIN]\n")
    asked = build_prompt(PROGRAM, PromptFormat("few-shot", shots=(shot,)))
    assert "def " not in asked
    assert asked.endswith("tests:\n\nInput:\n1 2\nOutput:\n3\n[BEGIN]\n")
    assert build_prompt(COMPLETED, FEW_SHOT).endswith(f"the whole of it.\n\n{STUB}[BEGIN]\n")


def test_the_papers_prompts():
    """A word or line break differs from the paper's prompt."""
    system, user = build_messages(FUNCTION, PromptFormat("dense-reward"))
    assert system == {
        "role": "system",
        "content": "You are a helpful Python assistant.\n you follow the instruction exactly.",
    }
    assert user["role"] == "user"
    assert user["content"] == (
        "Create a python Program with following instructions. Only create the asked function with no other output."
        "\n # Instruction: Write a function to add two numbers.\nassert add(1, 2) == 3"
    )
    assert build_prompt(PROGRAM, PromptFormat("securecode")) == (  # the name is from md5sum
        "### Instruction:\nComplete the following code:\n\ndef solve_ffe2b():\n    "
        f'"""{PROGRAM.text}\n    """\n\n\n### Response:\n'
    )
    assert build_prompt(PROGRAM, PromptFormat("securecode-sft")).startswith(
        "### Instruction:\nComplete the following Python code:\n\ndef solve_ffe2b():\n"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_chat_says_what_the_judge_needs(kind):
    """The request lacks the function's name, the stub, or how a program gets its input."""
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
    """The prompt has a megabyte of input; or it has no short test and does not tell the function's name."""
    long = "9" * 5000
    function = Problem(1, "Add.", "", (f"assert add({long}, 2) == 3",), "add")
    for problem in (function, Problem(2, "Add.", "", cases=((f"{long}\n", "3\n"),))):
        form = PromptFormat(style)
        messages = [m["content"] for m in build_messages(problem, form)] if style in CHATS else []
        asked = "".join(messages) or build_prompt(problem, form)
        assert long not in asked
        if not style.startswith("securecode"):  # that prompt says nothing but the request
            assert ("called add" if problem is function else "stdin") in asked


def test_own_shots_are_right(monkeypatch, capsys):
    """A solved problem in the prompt has a wrong solution."""
    for shot in OWN_SHOTS:
        for stdin, stdout in shot.cases:
            monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
            exec(shot.code, {})
            assert capsys.readouterr().out == stdout
        if shot.test_list:
            exec("\n".join([shot.code, *shot.test_list]), {})


def test_mbpp_has_its_shots(mbpp_file):
    """Problems with shown solutions are also evaluated: MBPP reserves 1 to 10 for prompts."""
    shots = tuple(problem for problem in mbpp.read(mbpp_file) if problem.task_id in (2, 3, 4))
    assert {shot.split for shot in shots} == {"prompt"}
    asked = build_prompt(FUNCTION, PromptFormat("few-shot", shots=shots))
    assert asked.count("[DONE]") == 3
    assert "def similar_elements(" in asked
