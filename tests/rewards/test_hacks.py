"""What a policy might try instead of a solution: none of it may raise any reward. Real sandbox, real analysis.

Every base program (honest, of all qualities) is judged as it is and with each hack applied to it; every replacement,
which is no program at all, is compared with the humblest honest one. `dense-sum` is left out: it pays long code more,
as published, and the last test says so. `simulator` looks at nothing but its worlds.

Three kinds of problem: functions with asserts; whole programs with cases; functions whose beginning stood in the
prompt, with one check.
"""

import re
import tempfile

import pytest

from data.problems import Problem
from data.programs import extract_program
from experiments.inputs.tasks import make_task
from rewards import expression, language
from rewards.answer import Answer
from rewards.linters.pool import Analyst
from sandbox import Limits, Sandbox, Stage

ENTRY_POINT = "evaluate"
TESTS = ("assert evaluate('1+2') == 3", "assert evaluate('4') == 4", "assert evaluate('5+5+5') == 15")
REFERENCE = "def evaluate(text):\n    return sum(int(part) for part in text.split('+'))\n"
STUB = "def evaluate(*args):\n    return 0\n"
FUNCTION = Problem("function", "", REFERENCE, TESTS, ENTRY_POINT)

COMPONENTS = [name for name in expression.COMPONENTS if name != "simulator"]
NAMED = [name for name in expression.NAMED if name != "dense-sum"]
COMPOSED = ["0.6*staged + 0.4*security_cwe(low=0.1)", "binary * style", "staged + 0.2*style if passed"]
OF_FINDINGS = ["style", "style_linear", "security", "security_exp", "security_cwe", "ruff-only"]
REWARDS = COMPONENTS + NAMED + COMPOSED

BASES = {
    "passing": REFERENCE,
    "partial": "def evaluate(text):\n    return int(text[0]) + int(text[-1]) if '+' in text else int(text)\n",
    "silent": "def evaluate(text):\n    text.split('+')\n",
    "crashing": "def evaluate(text):\n    return parts[0] + total + int(text)\n",
    "broken at import": "TABLE = {}['+']\ndef evaluate(text):\n    return TABLE\n",
    "untidy": (
        "import os, sys\ndef evaluate(text):\n    l = None\n    unused = 1\n    if l == None:\n        try:\n"
        "            return sum([int(p) for p in text.split('+')])\n        except:\n            return None\n"
        "    else:\n        return dict()\n"
    ),
    "insecure": (
        "import os\nimport hashlib\ndef evaluate(text):\n    if not text:\n        os.system(text)\n"
        "    hashlib.md5(text.encode())\n    return eval(text)\n"
    ),
    "does not parse": "def evaluate(text)\n    return 3\n",
}

# They ask for silence, in the way that is stronger than rules selected on the command line.
SILENCE = 'lint.per-file-ignores = {"*" = ["ALL"]}\n'
CONFIGURATIONS = {
    "ruff.toml": SILENCE,
    ".ruff.toml": SILENCE,
    "pyproject.toml": f"[tool.ruff]\n{SILENCE}[tool.bandit]\nskips = ['B307', 'B324', 'B605']\n",
    ".bandit": "[bandit]\nskips: B307,B324,B605\n",
}


def every_line(comment):
    """The hack that puts a comment behind every line."""
    return lambda program: re.sub(r"(?<=[^\n])$", f"  {comment}", program, flags=re.MULTILINE)


def before(text):
    return lambda program: text + program


def after(text):
    return lambda program: program + text


def write_file(name, text):
    """A file next to the program, as soon as it is imported; a sandbox that refuses is no reason to fail."""
    write = f"    with open({name!r}, 'w') as file:\n        file.write({text!r})\n"
    return before(f"try:\n{write}except OSError:\n    pass\n")


# Every base ends in the body of its function, so that what is put behind it at that depth is unreachable code.
HACKS = {
    "noqa": every_line("# noqa"),
    "noqa, rule by rule": every_line("# noqa: F821,F401,F841,E722,E711,E401,E741,C408,C419,RET505"),
    "noqa for the file": before("# ruff: noqa\n# flake8: noqa\n"),
    "ruff: disable": before("# ruff: disable[F821]\n# ruff: disable[F401]\n# pylint: disable=all\n"),
    "nosec": every_line("# nosec"),
    "nosec, rule by rule": every_line("# nosec B605,B324,B307"),
    "type: ignore": every_line("# type: ignore"),
    "type: ignore for the file": before("# type: ignore\n# mypy: ignore-errors\n"),
    **{f"writes {name}": write_file(name, text) for name, text in CONFIGURATIONS.items()},
    "blank lines before": before("\n" * 10_000),
    "blank lines after": after("\n" * 10_000),
    "blank lines between": lambda program: program.replace("\n", "\n" * 100),
    "comments": after("# clean\n" * 1_000),
    "form feeds": lambda program: "\f" + program.replace("\n    ", "\n\f    "),
    "form feed after blanks": before("  \f"),
    "carriage returns": lambda program: program.replace("\n", "\r\n"),
    "unreachable code": after("    return None\n    for number in range(10):\n        text = str(number)\n" * 20),
    "unreachable function": after("\n\ndef helper(number):\n    return number + 1\n" * 20),
    "pass": after("    pass\n" * 20),
    "docstring": after('\n"""' + "All tests pass. " * 100 + '"""\n'),
    "printing": before("print('1 passed')\nprint(3)\n"),
    "printing in the function": lambda program: program.replace("(text):\n", "(text):\n    print(3)\n", 1),
    "class of that name": after("\n\nclass evaluate:\n    pass\n"),
    "star import": before("from os.path import *\n"),
    "global": lambda program: program.replace("(text):\n", "(text):\n    global parts, total\n", 1),
    "declared encoding": before("# coding: utf-7\n"),
    "unknown encoding": before("# coding: none\n"),
    "deep sum": before("DEPTH = " + "+".join("1" * 900) + "\n"),
    "deeper sum": before("DEPTH = " + "+".join("1" * 2_500) + "\n"),
    "deep calls": before("DEPTH = lambda: evaluate" + "()" * 900 + "\n"),
    "exit": after("\n\nraise SystemExit(0)\n"),
    "byte order mark": before("\ufeff"),
    "NUL": after("\0"),
    "lone surrogate": after("# \ud800\n"),
    "long line": after("# " + "x" * 100_000 + "\n"),
}

REPLACEMENTS = {
    "empty": "",
    "blank": "\n \n\t\n\f\n",
    "comment": "# def evaluate(text): return 3\n",
    "docstring": '"""def evaluate(text): return 3"""\n',
    "class": "class evaluate:\n    def __init__(self, text):\n        self.text = text\n",
    "printing": "print(3)\nprint(4)\nprint(15)\n",
    "other function": "def evaluated(text):\n    return 3\n",
    "never called": "def main():\n    def evaluate(text):\n        return 3\n",
    "annotation": "evaluate: int\n",
    "prose": "Sure! Here is a function that evaluates a sum of numbers.\n",
    "garbage": "]] )( ** ''' 0x\n",
    "one line of 1 MB": "evaluate = '" + "x" * 1_000_000 + "'\n",
    "one function of 1 MB": "def evaluate(text): return '" + "x" * 1_000_000 + "'\n",
    "NUL": "def evaluate(text):\n    return '\0'\n",
    "lone surrogate": "def evaluate(text):\n    return '\ud800'\n",
    "nested brackets": "(" * 5_000 + ")" * 5_000 + "\n",
    "nested minus": "evaluate = " + "-" * 50_000 + "1\n",
    "long sum": "def evaluate(text): return " + "+".join("1" * 20_000) + "\n",
    "declared encoding": "# coding: utf-7\n+AGQ-ef evaluate(text): return 3\n",
    "exit": "import os\nos._exit(0)\n",
}


def fence(program, language="python"):
    return f"```{language}\n{program}```\n"


# Text -> the text that it must not beat.
FENCES = {
    "code before the fence": (REFERENCE + fence(BASES["crashing"]), fence(BASES["crashing"])),
    "code after the fence": (fence(BASES["crashing"]) + REFERENCE, fence(BASES["crashing"])),
    "two fences": (fence(BASES["crashing"]) + fence(REFERENCE), fence(BASES["crashing"])),
    "one function in two fences": (fence("def evaluate(text):\n") + fence("    return 3\n"), fence(STUB)),
    "clean code in another fence": (fence(BASES["untidy"]) + fence("x = 1\n"), fence(BASES["untidy"])),
    "not closed": ("```python\n" + REFERENCE, fence(REFERENCE)),
    "not closed, nothing in it": ("```python\n", fence(STUB)),
    "empty": (fence(""), fence(STUB)),
    "closed before it opens": ("```\n" + REFERENCE, fence(REFERENCE)),
    "fence in a string": (fence('"""\n```\n"""\n' + REFERENCE), fence(STUB)),
    "padding around": ("\n" * 10_000 + fence(BASES["untidy"]) + "\n" * 10_000, fence(BASES["untidy"])),
}


def hacked(hack):
    return {base: HACKS[hack](program) for base, program in BASES.items()}


@pytest.fixture(scope="module")
def paid():
    """A function: text -> {reward: what it pays, "stage": how far it came}; all texts are judged at once, before."""
    texts = [STUB, fence(STUB), *BASES.values(), *REPLACEMENTS.values()]
    texts += [text for hack in HACKS for text in hacked(hack).values()] + [t for pair in FENCES.values() for t in pair]
    texts = list(dict.fromkeys(texts))
    found = dict(zip(texts, pay(texts), strict=True))
    return found.__getitem__


def pay(texts, rewards=REWARDS, problem=FUNCTION):
    """What each reward pays for each text as an answer to the problem, all judged in one batch."""
    places = [extract_program(text) for text in texts]
    programs = [problem.stub + text[place.start : place.end] for text, place in zip(texts, places, strict=True)]
    with Sandbox(2, Limits(test_cpu_seconds=0.5), allow_weak=True) as judge:
        outcomes = judge.run([make_task(problem, program) for program in programs])
    with Analyst() as analyst:
        analyses = analyst.run(programs)
    peers = tuple(outcomes[:8])
    parsed = {reward: language.parse(reward) for reward in rewards}
    for text, place, outcome, analysis in zip(texts, places, outcomes, analyses, strict=True):
        starts = tuple(range(0, len(text), 3))
        answer = Answer(
            text=text,
            program=(place.start, place.end),
            outcome=outcome,
            fenced=place.fenced,
            entry_point=problem.entry_point,
            reference=problem.code,
            analysis=analysis,
            peers=(*peers, outcome),
            tokens=len(starts),
            budget=1_000_000,
            token_starts=starts,
            prefix=problem.stub,
        )
        amounts = {reward: expression.evaluate(tree, answer).value.value for reward, tree in parsed.items()}
        yield amounts | {"stage": outcome.stage}


def gains(tried, honest):
    """Rewards at which the one beats the other."""
    return {reward: (tried[reward], honest[reward]) for reward in REWARDS if tried[reward] > honest[reward] + 1e-9}


@pytest.mark.parametrize("base", BASES)
def test_bases_are_what_they_are_called(paid, base):
    """A base program that fails for another reason than meant: no hack could then show anything on it."""
    stages = {
        **{"passing": Stage.PASSED, "partial": Stage.PARTIAL, "silent": Stage.RUNS, "crashing": Stage.RUNS},
        **{"broken at import": Stage.PARSES, "untidy": Stage.PASSED, "insecure": Stage.PASSED},
        "does not parse": Stage.SYNTAX_ERROR,
    }
    found = paid(BASES[base])
    assert found["stage"] == stages[base]
    assert (found["style"] < 0.5) == (base in ("crashing", "untidy", "does not parse"))
    assert (found["security_cwe"] < 0.5) == (base in ("insecure", "does not parse"))


@pytest.mark.parametrize("hack", HACKS)
def test_hack_gains_nothing(paid, hack):
    """A hack that raises a reward: what training will find first."""
    for base, text in hacked(hack).items():
        assert gains(paid(text), paid(BASES[base])) == {}, f"on the {base} program"


@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_replacement_gains_nothing(paid, replacement):
    """A text paid more than the humblest program; or paid at all, for its findings or though it does not parse."""
    found = paid(REPLACEMENTS[replacement])
    assert gains(found, paid(STUB)) == {}
    assert [reward for reward in OF_FINDINGS if found[reward] > 0] == []
    if found["stage"] == Stage.SYNTAX_ERROR:
        assert [reward for reward in REWARDS if found[reward] > 0] == []


@pytest.mark.parametrize("trick", FENCES)
def test_fence_gains_nothing(paid, trick):
    """Code outside the first fence that is judged after all, or a fence that counts though it never closes."""
    tried, honest = FENCES[trick]
    assert gains(paid(tried), paid(honest)) == {}


def test_format_asks_for_a_closed_fence(paid):
    """A fence that never closes, paid as if it did; or one that does, not paid."""
    assert paid(FENCES["not closed"][0])["format"] == 0.0
    assert paid(fence(STUB))["format"] == 1.0


# Whole programs, and functions that go on from a stub -------------------------------------------------------------

PROGRAM = Problem(
    "program",
    "",
    "print(sum(int(part) for part in input().split('+')))\n",
    cases=(("1+2\n", "3\n"), ("4\n", "4\n"), ("2+3\n\n", "5.0\n")),
    tolerance=1e-6,
)
BEGINNING = """
def add_one(number):
    \"\"\"The next number.\"\"\"
    return number + 1


def evaluate(text):
    \"\"\"The sum that the text asks for.\"\"\"
""".lstrip()
BODY = "    return sum(int(part) for part in text.split('+'))\n"
CHECK = "def check(candidate):\n" + "".join(
    f"    assert candidate({text!r}) == add_one({less})\n" for text, less in (("1+2", 2), ("5+5+5", 14))
)
COMPLETION = Problem("completion", "", BEGINNING + BODY, entry_point=ENTRY_POINT, check=CHECK, stub=BEGINNING)

COMMENTS = ("noqa", "noqa for the file", "nosec", "blank lines before", "blank lines after", "comments", "docstring")
TEXTS = ("exit", "NUL", "lone surrogate", "deep sum", "long line")
LIAR = "class Anything:\n    def __eq__(self, other):\n        return True\n    __hash__ = None\n"


def printing_too(put, text):
    """The hack that prints more, where something is printed: a first word of it is worth a stage, as it should be."""
    return lambda program: put(text)(program) if "print" in program else program


def printing(**how):
    """The hack that makes every print() another one."""
    named = ", ".join(f"{name}={value!r}" for name, value in how.items())
    return before(f"import functools\nprint = functools.partial(print, {named})\n")


# Kind of problem -> the humblest honest answer to it; bases by stage; hacks, none of which may beat its base; and
# replacements, none of which may beat the humblest.
OTHERS = {
    "program": (
        PROGRAM,
        "print(0)\n",
        {
            Stage.PASSED: PROGRAM.code,
            Stage.PARTIAL: "text = input()\nprint(5 if '+' in text else int(text))\n",
            Stage.OUTPUT: "l = input()\nif l != None:\n    print(list([]))\n",
            Stage.RUNS: "text = input()\n",
            Stage.PARSES: "print(total + int(input()))\n",
            Stage.SYNTAX_ERROR: "print(input()\n",
        },
        {name: HACKS[name] for name in (*COMMENTS, *TEXTS, "carriage returns", "star import", "byte order mark")}
        | {
            "every answer after it": printing_too(after, "print(3)\nprint(4)\nprint(5)\n"),
            "every answer before it": printing_too(before, "print(3)\nprint(4)\nprint(5)\n"),
            "answers on one line": printing(end=" "),
            "carriage return for a line": printing(end="\r3\r"),
            "next line for a line": printing(end="\x853\x85"),
            "NUL for a line": printing(end="\0"),
            "to stderr, too": lambda program: program.replace("print(", "__import__('os').write(2, b'3'); print("),
            "exit at once": after("import os\nos._exit(0)\n"),
            "flood": printing_too(after, "print('3 4 5 ' * 300_000)\n"),
        },
        {
            "empty": "",
            "comment": "# print(3)\n",
            "pass": "pass\n",
            "docstring": '"""3"""\n',
            "function": "def main():\n    print(sum(map(int, input().split('+'))))\n",
            "nothing printed": "print()\n",
            "blanks": "print(' \\t\\r\\x0b\\x0c\\x1c\\x85\\u2028\\xa0\\u3000')\n",
            "NUL": "print('\\0')\n",
            "all on one line": "print(3, 4, 5)\n",
            "all, line by line": "print(3)\nprint(4)\nprint(5)\n",
            "all with carriage returns": "print('3\\r4\\r5')\n",
            "not a number": "print('nan')\n",
            "infinite": "print('inf')\n",
            "too large for a float": "print('9' * 400)\n",
            "bytes that are no text": "import sys\nsys.stdout.buffer.write(b'\\xff3')\n",
            "more than is read": "while True:\n    print('3 4 5 ' * 10_000)\n",
            "the case from memory": "import gc\nprint([text for text in gc.get_objects() if text == '3\\n'])\n",
        },
    ),
    "completion": (
        COMPLETION,
        "    return 0\n",
        {
            Stage.PASSED: BODY,
            Stage.OUTPUT: "    l = None\n    if l == None:\n        return len([part for part in text])\n",
            Stage.RUNS: "    return total + int(text)\n",
            Stage.SYNTAX_ERROR: "    return (3\n",
        },
        {name: HACKS[name] for name in (*COMMENTS, *TEXTS, "pass", "unreachable code", "class of that name")}
        | {
            "helper redefined": after(
                "\n\ndef add_one(number):\n    return evaluate({2: '1+2', 14: '5+5+5'}[number])\n"
            ),
            "helper a liar": after(f"\n\n{LIAR}\n\ndef add_one(number):\n    return Anything()\n"),
            "check redefined": after("\n\ndef check(candidate):\n    return None\n"),
            "candidate defined": after("\n\ndef candidate(text):\n    return 3\n"),
            "no assertions": after("\n\nimport builtins\nbuiltins.AssertionError = None\n__debug__ or None\n"),
        },
        {
            "empty": "",
            "blank": "\n \n\t\n\f\n",
            "comment": "    # return 3\n",
            "another docstring": '    """Three."""\n',
            "pass": "    pass\n",
            "liar": f"    return Anything()\n\n\n{LIAR}",
            "another name": "\n\ndef evaluated(text):\n    return 3\n",
            "taken back": "    return 3\n\n\ndel evaluate\n",
            "a class": "    return 3\n\n\nclass evaluate:\n    def __init__(self, text):\n        self.text = text\n",
            "a constant": "    return 3\n\n\nevaluate = 3\n",
        },
    ),
}


@pytest.fixture(scope="module", params=OTHERS)
def kind(request):
    """One kind of problem as above, and what each of its texts is paid, all judged at once."""
    problem, humblest, bases, hacks, replacements = OTHERS[request.param]
    texts = [humblest, *bases.values(), *replacements.values()]
    texts = list(dict.fromkeys(texts + [hack(base) for hack in hacks.values() for base in bases.values()]))
    return dict(zip(texts, pay(texts, problem=problem), strict=True)), humblest, bases, hacks, replacements


def test_other_bases_are_what_they_are_called(kind):
    """A base that fails for another reason than meant."""
    found, humblest, bases, *_ = kind
    assert {stage: found[base]["stage"] for stage, base in bases.items()} == {stage: stage for stage in bases}
    assert found[humblest]["stage"] == Stage.OUTPUT
    assert found[bases[Stage.PASSED]]["style"] > found[bases[Stage.OUTPUT]]["style"]


def test_other_hacks_gain_nothing(kind):
    """A trick with what is printed, or with names of the prompt or of the check, that raises a reward."""
    found, _, bases, hacks, _ = kind
    gained = {
        (name, stage.name): gains(found[hack(base)], found[base])
        for name, hack in hacks.items()
        for stage, base in bases.items()
    }
    assert {place: rewards for place, rewards in gained.items() if rewards} == {}


def test_other_replacements_gain_nothing(kind):
    """Something that is no answer paid more than the humblest answer; or a prompt's own code paid for being clean."""
    found, humblest, _, _, replacements = kind
    gained = {name: gains(found[text], found[humblest]) for name, text in replacements.items()}
    assert {name: rewards for name, rewards in gained.items() if rewards} == {}
    for text in (replacements["empty"], replacements["comment"]):
        assert [reward for reward in OF_FINDINGS if found[text][reward] > 0] == []


def test_configuration_of_other_people_does_nothing(tmp_path, monkeypatch):
    """The analysis obeys a configuration: one that a program got to write, or a user's, then frees all programs."""
    programs = [BASES["untidy"], BASES["insecure"]]
    with Analyst() as analyst:
        honest = analyst.run(programs)
    (tmp_path / "ruff").mkdir()  # the user's
    for name, text in (CONFIGURATIONS | {"ruff/ruff.toml": CONFIGURATIONS["ruff.toml"]}).items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for variable in ("TMPDIR", "HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    with Analyst() as analyst:
        assert analyst.run(programs) == honest
    assert len(honest[0].style) > 5
    assert len(honest[1].security) > 2


def test_control_dense_sum_pays_length():
    """The published sum over tokens pays a longer program more. A test that missed this would miss any hack."""
    long = REFERENCE + "\n\ndef helper(number):\n    return number + 1\n" * 5
    (short_paid, long_paid) = pay([REFERENCE, long], ["dense-sum", "dense"])
    assert long_paid["dense-sum"] > short_paid["dense-sum"] + 1
    assert long_paid["dense"] <= short_paid["dense"] + 1e-9
