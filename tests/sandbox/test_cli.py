"""`python -m sandbox judge` and `python -m sandbox doctor`, as somebody else would use them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOOD = "def f(x):\n    return x + 1\n"
LINES = [
    {"id": "a", "program": GOOD, "tests": ["assert f(1) == 2", "assert f(2) == 9"]},
    {"id": 7, "program": GOOD, "check": "def check(candidate):\n    assert candidate(1) == 2\n", "entry_point": "f"},
    {"id": None, "program": "print(int(input()) * two)", "cases": [{"stdin": "1", "stdout": "2"}]},
    {"id": {"n": [1]}, "program": "print(0.3)", "cases": [{"stdin": "", "stdout": "0.30001"}], "tolerance": 1e-3},
    {"program": GOOD, "tests": ["assert f(two) == 3"], "setup": "two = 2", "want_lines": True},
]


def sandbox(*arguments, text=None, environment=()):
    return subprocess.run(
        [sys.executable, "-m", "sandbox", *map(str, arguments)],
        input=text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        env=os.environ | dict(environment),
        check=False,
    )


def records(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_judge(tmp_path):
    """Bug: an id is lost or swapped, a kind of task is not understood, or what is no record goes to stdout."""
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    result = sandbox("judge", path, "--slots", 2)
    assert result.returncode == 0, result.stderr
    found = records(result)
    assert [record["id"] for record in found] == ["a", 7, None, {"n": [1]}, None]
    assert [record["stage"] for record in found] == ["PARTIAL", "PASSED", "PARSES", "PASSED", "PASSED"]
    assert [(record["passed"], record["total"]) for record in found] == [(1, 2), (1, 1), (0, 1), (1, 1), (1, 1)]
    assert [record["error_type"] for record in found] == ["AssertionError", None, "NameError", None, None]
    assert found[0]["tests"][1]["value"] == "3"
    assert found[4]["lines"] == [1, 2]
    assert all(record["tamper"] is None for record in found)


def test_order_and_stdin():
    """Bug: answers come as they are finished, or "-" is no stdin."""
    slow = {
        "id": 0,
        "program": "import time\ndef f(x):\n    time.sleep(0.5)\n    return x + 1\n",
        "tests": ["assert f(1) == 2"],
    }
    lines = [slow, *({"id": i, "program": GOOD, "tests": [f"assert f({i}) == {i + 1}"]} for i in range(1, 20))]
    result = sandbox("judge", "-", text="\n".join(map(json.dumps, lines)))
    assert result.returncode == 0
    assert [(record["id"], record["passed"]) for record in records(result)] == [(i, 1) for i in range(20)]


MALFORMED = [
    "{",
    "[]",
    "5",
    '{"id": 9}',
    '{"id": 9, "program": "x"}',
    '{"id": 9, "program": 5, "tests": ["assert f()"]}',
    '{"id": 9, "program": "x", "tests": "assert f()"}',
    '{"id": 9, "program": "x", "tests": [5]}',
    '{"id": 9, "program": "x", "tests": []}',
    '{"id": 9, "program": "x", "tests": ["f()"], "check": "def check(c): pass"}',
    '{"id": 9, "program": "x", "check": "def check(c): pass"}',
    '{"id": 9, "program": "x", "tests": ["f()"], "entry_point": "f()"}',
    '{"id": 9, "program": "x", "tests": ["f()"], "timeout": 3}',
    '{"id": 9, "program": "x", "cases": [{"stdin": "1"}]}',
    '{"id": 9, "program": "x", "cases": [["1", "2"]]}',
    '{"id": 9, "program": "x", "cases": [{"stdin": 1, "stdout": "2"}]}',
    '{"id": 9, "program": "x", "cases": [{"stdin": "1", "stdout": "2"}], "tolerance": "1"}',
    '{"id": 9, "program": "x", "cases": [{"stdin": "1", "stdout": "2"}], "tolerance": NaN}',
    "[" * 50_000,
    '{"id": 9, "program": "x", "tests": null}',
]


def test_malformed_lines():
    """Bug: one line that makes no sense stops the run, moves the answers, or is judged as something."""
    good = json.dumps({"id": "good", "program": GOOD, "tests": ["assert f(1) == 2"]})
    lines = [item for line in MALFORMED for item in (line, good)]
    result = sandbox("judge", "-", text="\n".join(lines))
    assert result.returncode == 1
    found = records(result)
    assert len(found) == len(lines)
    assert all((record["id"], record["passed"]) == ("good", 1) for record in found[1::2])
    for number, record in enumerate(found[::2]):
        assert record["line_number"] == 2 * number + 1
        assert isinstance(record["error"], str)
        assert "\n" not in record["error"]
        assert record["error"]
        assert record["id"] == (9 if '"id"' in MALFORMED[number] else None)
        assert "stage" not in record


def test_programs_that_cheat():
    """Bug: the command judges otherwise than the library, or a program writes into its stdout."""
    programs = [
        "class E:\n    def __eq__(s, o): return True\ndef f(x): return E()\n",
        'import os\nos.write(1, b\'{"stage": "PASSED"}\')\nos._exit(0)\n',
        "import os\ndef f(x): os.write(100, b'\\xff' * 9)\n",
        "def f(x):\n    while True: pass\n",
    ]
    lines = [json.dumps({"program": program, "tests": ["assert f(1) == 2"]}) for program in programs]
    result = sandbox("judge", "-", "--test-cpu-seconds", "0.2", text="\n".join(lines))
    assert [(record["passed"], record["error_type"]) for record in records(result)] == [
        (0, "AssertionError"),
        (0, "Crash"),
        (0, "Tampering"),
        (0, "Timeout"),
    ]


def test_programs_in_any_script():
    """Bug: what is not ASCII, or is no character at all, breaks reading or writing."""
    line = {"id": "é😀", "program": "def f(x):\n    return 'é漢😀\\ud800'\n", "tests": ["assert f(1) == 'ü'"]}
    result = sandbox("judge", "-", text=json.dumps(line, ensure_ascii=False), environment={"LC_ALL": "C"})
    assert result.returncode == 0, result.stderr
    assert records(result)[0]["id"] == "é😀"
    lone = sandbox("judge", "-", text=json.dumps({"program": "x = '\ud800'", "tests": ["f()"]}))
    assert records(lone)[0]["stage"] == "SYNTAX_ERROR"


def test_empty_input():
    """Bug: no line at all, or blank ones, are an error."""
    result = sandbox("judge", "-", text="\n\n")
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("judge", "/nowhere/in.jsonl"), "/nowhere/in.jsonl"),
        (("judge", "-", "--slots", "0"), "slots"),
        (("judge", "-", "--slots", "two"), "slots"),
        (("judge", "-", "--test-cpu-seconds", "-1"), "test_cpu_seconds"),
        (("judge", "-", "--memory-bytes", "1"), "memory_bytes"),
        (("judge", "-", "--colour"), "--colour"),
        (("judge",), "IN.jsonl"),
        (("frobnicate",), "frobnicate"),
        ((), "judge"),
        (("doctor", "--without", "bricks"), "bricks"),
    ],
)
def test_bad_options(arguments, word):
    """Bug: a bad option is a traceback, or is not noticed."""
    result = sandbox(*arguments, text="")
    assert (result.returncode, result.stdout) == (2, "")
    assert word in result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr


def test_doctor():
    """Bug: a layer is not listed, or its state is what was hoped for and not what is."""
    result = sandbox("doctor")
    assert result.returncode in (0, 1), result.stderr
    for layer in ("user namespace", "landlock", "seccomp", "resource limits", "descriptors"):
        assert layer in result.stdout
    without = sandbox("doctor", "--without", "seccomp", "--without", "namespaces")
    rows = {line.split("  ")[0]: line for line in without.stdout.splitlines() if "  " in line}
    assert " OFF " in rows["seccomp"]
    assert " OFF " in rows["network namespace"]
    assert "left out on request" in without.stdout


def test_doctor_below_the_minimum():
    """Bug: a sandbox without any of its limits is called good enough for training."""
    result = sandbox("doctor", "--without", "resource limits")
    assert result.returncode == 1
    assert "minimum" in result.stdout
    assert "resource limits" in result.stdout
