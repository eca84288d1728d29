"""What a policy might try instead of a solution: none of it may raise any reward. Real sandbox, real analysis.

Every base program (honest, of all qualities) is judged as it is and with each hack applied to it; every replacement,
which is no program at all, is compared with the humblest honest one. `dense-sum` is left out: it pays long code more,
as published, and the last test says so. `simulator` looks at nothing but its worlds.
"""

import re
import tempfile

import pytest

from data.prompts import extract_program
from rewards import expression, language
from rewards.analysis import Analyst
from rewards.answer import Answer
from sandbox import Judge, Limits, Stage, Task

ENTRY_POINT = "evaluate"
TESTS = ("assert evaluate('1+2') == 3", "assert evaluate('4') == 4", "assert evaluate('5+5+5') == 15")
REFERENCE = "def evaluate(text):\n    return sum(int(part) for part in text.split('+'))\n"
STUB = "def evaluate(*args):\n    return 0\n"

COMPONENTS = [name for name in expression.COMPONENTS if name != "simulator"]
PAPERS = [name for name in expression.PAPERS if name != "dense-sum"]
COMPOSED = ["0.6*staged + 0.4*security_cwe(low=0.1)", "binary * style", "staged + 0.2*style if passed"]
OF_FINDINGS = ["style", "style_linear", "security", "security_exp", "security_cwe", "ruff-only"]
REWARDS = COMPONENTS + PAPERS + COMPOSED

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


def pay(texts, rewards=REWARDS):
    """What each reward pays for each text, all judged in one batch."""
    places = [extract_program(text) for text in texts]
    programs = [text[place.start : place.end] for text, place in zip(texts, places, strict=True)]
    with Judge(2, Limits(test_cpu_seconds=0.5), allow_weak=True) as judge:
        outcomes = judge.run([Task(program, TESTS, ENTRY_POINT) for program in programs])
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
            entry_point=ENTRY_POINT,
            reference=REFERENCE,
            analysis=analysis,
            peers=(*peers, outcome),
            tokens=len(starts),
            budget=1_000_000,
            token_starts=starts,
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
