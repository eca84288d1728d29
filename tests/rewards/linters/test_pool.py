"""The service of static analysis: the same findings as the two command lines, whatever a program says or does."""

import importlib.metadata
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rewards.answer import Analysis
from rewards.linters import pool as analysis
from rewards.linters.pool import Analyst
from rewards.linters.rules import SELECT, class_of

ROOT = Path(__file__).parents[3]
ATTACKS = ROOT / "tests" / "attacks"
GOOD = "import os\n\n\ndef f(x):\n    return x\n"  # one finding: os is not used

# Each fires rules of Bandit; all severities, confidences and forms of place are among them.
INSECURE = [
    "import os\nos.system('ls ' + name)\n",
    "import subprocess\nsubprocess.call(\n    command,\n    env={},\n    shell=True,\n)\n",
    "import subprocess as sp\nsp.Popen(['ls'])\nsp.Popen('ls', shell=True)\n",
    "import yaml\ndef f(x):\n    return yaml.load(x)\n",
    "import pickle\ndef f(x):\n    return pickle.loads(x)\n",
    "import hashlib\ndef f(x):\n    return hashlib.md5(x).hexdigest()\n",
    "import random\ndef token():\n    return random.random()\n",
    "def f(c, x):\n    c.execute('SELECT * FROM t WHERE a = ' + x)\n    c.execute(f'DELETE FROM {x} WHERE 1')\n",
    "import tempfile\nname = tempfile.mktemp()\nopen('/tmp/x', 'w')\n",
    "import requests\nrequests.get(u, verify=False)\n",
    "import ssl\nssl.wrap_socket(s, ssl_version=ssl.PROTOCOL_SSLv3)\nssl._create_unverified_context()\n",
    "import socket\nsocket.socket().bind(('0.0.0.0', 80))\n",
    "password = 'hunter2'\ndef g(secret='abc'):\n    assert secret\n    return eval(secret)\n",
    "import os, stat\nos.chmod(p, 0o777)\nexec(p)\n",
    "try:\n    f()\nexcept Exception:\n    pass\nfor x in y:\n    try:\n        f()\n    except:\n        continue\n",
    "import tarfile\ntarfile.open(p).extractall()\n",
    "import xml.etree.ElementTree as E\nE.parse(p)\nfrom Crypto.Cipher import ARC4\n",
    "import telnetlib\nfrom cryptography.hazmat.primitives.asymmetric import rsa\nrsa.generate_private_key(3, 512)\n",
    "from flask import Flask\nFlask(__name__).run(debug=True)\n",
    "__import__('pickle')\nx = 1  # \u202e\n",
]

# What a program may say in its own favour, without doing anything.
EXCUSES = [
    *("# noqa", "# NOQA", "#noqa", "# noqa: F401,E722,F821", "# flake8: noqa", "# ruff: noqa", "# ruff: noqa: F401"),
    *("# ruff: ignore[F401, E722]", "# ruff:ignore[unused-import]", "# ruff: disable[F401, F821, E722, B006]"),
    *("# ruff: file-ignore[F401, F821, E722]", "# isort: skip_file", "# isort: skip", "# fmt: off", "# fmt: skip"),
    *("# type: ignore", "# pylint: disable=all", "# pragma: no cover", "# nosec", "# nosec B602, B404", "#nosec"),
    *("# coding: latin-1", "# -*- coding: utf-7 -*-", "# @generated", "# yapf: disable", "#!/usr/bin/env python2"),
    "# /// script\n# requires-python = '>=3.6'\n# [tool.ruff.lint]\n# ignore = ['F', 'E', 'B', 'UP']\n# ///",
]
# Findings of many rules, one that only Python 3.11 and later get (UP017), and a character that only the bytes show.
GUILTY = """\
from typing import Optional
import datetime, os, subprocess
def Foo(l, input=[]):
    try:
        y = list([i for i in l])
    except:
        pass
    z: Optional[int] = None
    if l == None:
        return subprocess.call("ls " + input, shell=True)
    else:
        return "%s" % undefined, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
mark = "\u202e", datetime.timezone.utc
"""


@pytest.fixture(scope="module")
def analyst():
    with Analyst() as service:
        yield service


def rows(findings):
    return [(f.rule, f.line, f.column) for f in findings]


def style(found):
    return {(f.rule, f.line, f.column, f.end_line, f.end_column, f.message) for f in found.style}


def security(found):
    return {(f.rule, f.line, f.column, f.severity, f.confidence, f.cwe, f.message) for f in found.security}


# The command lines as oracles


def by_command_line(programs, directory):
    """For each program what the two tools report when they are started on a directory that holds them all."""
    directory.mkdir()
    for number, program in enumerate(programs):
        (directory / f"p{number}.py").write_bytes(program.encode())
    expected = [(set(), set()) for _ in programs]
    arguments = ["--isolated", "--ignore-noqa", "--select", ",".join(SELECT), "--target-version", "py311"]
    command = [sys.executable, "-m", "ruff", "check", *arguments, "--no-cache", "--output-format", "json", directory]
    for row in json.loads(subprocess.run(command, capture_output=True, check=False).stdout):
        start, end = row["location"], row["end_location"]
        place = (start["row"], start["column"] - 1, end["row"], end["column"] - 1)
        expected[int(Path(row["filename"]).stem[1:])][0].add((row["code"], *place, row["message"]))
    command = [sys.executable, "-m", "bandit", "-q", "-r", directory, "-f", "json", "--ignore-nosec"]
    report = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)
    assert report["errors"] == []
    for row in report["results"]:
        number = int(Path(row["filename"]).stem[1:])
        column = row["col_offset"] - (row["test_id"] == "B613")  # the one rule that counts columns from 1
        grades = row["issue_severity"], row["issue_confidence"], row["issue_cwe"]["id"]
        expected[number][1].add((row["test_id"], row["line_number"], column, *grades, row["issue_text"]))
    return expected


def assert_agreement(analyst, programs, directory):
    expected = by_command_line(programs, directory)
    for program, found, (ruff, bandit) in zip(programs, analyst.run(programs), expected, strict=True):
        assert (found.parses, found.failed) == (True, ""), program
        assert style(found) == ruff, program
        assert all(finding.severity == class_of(finding.rule) for finding in found.style), program
        assert security(found) == bandit, program
    return expected


def test_agrees_with_the_command_lines(analyst, tmp_path):
    """A rule left out, a column off by one or a grade mixed up between a tool and us."""
    lines = (ROOT / "data" / "embedded" / "train.jsonl").read_text().splitlines()
    programs = [json.loads(line)["code"] for line in random.Random(1).sample(lines, 150)] + INSECURE + [GUILTY]
    for line in (ROOT / "data" / "security" / "security.jsonl").read_text().splitlines():
        programs += [json.loads(line)["code"], json.loads(line)["unsafe"]]
    expected = assert_agreement(analyst, programs, tmp_path / "all")
    fired = [row for _, bandit in expected for row in bandit]
    assert {row[3] for row in fired} == {row[4] for row in fired} == {"LOW", "MEDIUM", "HIGH"}
    assert len({row[0] for row in fired}) >= 25
    assert len({row[0] for ruff, _ in expected for row in ruff}) >= 20


def test_agrees_with_the_command_lines_on_mbpp(analyst, tmp_path, mbpp_file):
    """The same on the programs of others, with tabs, carriage returns, and characters beyond ASCII."""
    programs = [json.loads(line)["code"] for line in mbpp_file.read_text().splitlines()]
    assert len(programs) == 974
    assert_agreement(analyst, programs, tmp_path / "all")


# What must change nothing


def test_a_comment_excuses_nothing(analyst):
    """A comment that buys a finding off, at the end of each line, at the top, at the bottom, or around it all."""
    (guilty,) = analyst.run([GUILTY])
    assert len(guilty.style) >= 15
    assert len(guilty.security) >= 3
    cases = []
    for excuse in EXCUSES:
        shift, at_end = excuse.count("\n") + 1, excuse.replace("\n", " ")
        cases.append((GUILTY.replace("\n", f"  {at_end}\n"), 0))
        cases.append((f"{excuse}\n{GUILTY}{excuse.replace('disable', 'enable')}\n", shift))
        cases.append((f"{GUILTY}{excuse}\n", 0))
    for (program, shift), found in zip(cases, analyst.run([program for program, _ in cases]), strict=True):
        assert (found.parses, found.failed) == (True, ""), program
        for of in (lambda one: one.style, lambda one: one.security):
            shifted = {(rule, line + shift, column) for rule, line, column in rows(of(guilty))}
            assert shifted <= set(rows(of(found))), program


def test_no_configuration_gets_in(tmp_path, monkeypatch, analyst):
    """A file that a program left in the temporary or the working directory, or the user's own, or the environment."""
    lenient = "builtins = ['undefined']\n[lint]\nselect = ['W605']\nper-file-ignores = {'*' = ['E', 'F', 'B']}\n"
    (tmp_path / "ruff.toml").write_text(lenient)
    (tmp_path / "pyproject.toml").write_text("[project]\nrequires-python = '>=3.8'\n[tool.bandit]\nskips = ['B602']\n")
    (tmp_path / ".bandit").write_text("[bandit]\nskips: B602,B404\n")
    (tmp_path / ".gitignore").write_text("*\n")
    (tmp_path / "__init__.py").touch()
    (tmp_path / "bandit.py").write_text("raise SystemExit('another bandit')\n")
    (tmp_path / "ruff").mkdir()
    (tmp_path / "ruff" / "ruff.toml").write_text(lenient)
    (tmp_path / "0.py").write_text(GUILTY)
    before = sorted(path.name for path in tmp_path.iterdir())
    for name in ("HOME", "XDG_CONFIG_HOME", "PYTHONPATH", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("RUFF_OUTPUT_FORMAT", "concise")
    monkeypatch.setenv("RUFF_OUTPUT_FILE", str(tmp_path / "stolen"))
    monkeypatch.chdir(tmp_path)
    ruff = analysis.find_ruff()
    command = [ruff, "check", "--no-cache", "0.py"]
    plain = subprocess.run(command, capture_output=True, check=False, env={}, cwd=tmp_path)
    assert plain.returncode == 0, "the files of this test excuse nothing"
    with Analyst() as other:
        assert other.run([GUILTY]) == analyst.run([GUILTY])
    assert sorted(path.name for path in tmp_path.iterdir()) == before  # nothing stays in the temporary directory


# Places


def test_lines_and_columns_are_those_of_the_tokenizer(analyst):
    """Bytes taken for characters; a line counted at a form feed or at U+2028; none counted at a carriage return."""
    programs = [
        "import os\nx = '日本𝒳'; os.system(cmd); é = None == x\n",
        "# a\x0cb\u2028c\u0085d\rimport os\r\nx = '\x1c\u2028'; os.system(cmd)\r",
        "x = 1\n\x0cdef f():\n    exec(x)\n",
        "# a\x0cb\u2028c\n# coding: latin-1\nx = 1  # é \u202e\n",
    ]
    found = analyst.run(programs)
    assert [one.parses for one in found] == [True] * 4
    assert ("B605", 2, 11) in rows(found[0].security)
    assert ("E711", 2, 31) in rows(found[0].style)
    (call,) = [f for f in found[0].security if f.rule == "B605"]
    assert (call.end_line, call.end_column) == (2, 25)
    assert ("B605", 3, 10) in rows(found[1].security)
    assert ("E702", 3, 8) in rows(found[1].style)
    assert rows(found[2].security) == [("B102", 3, 4)]
    assert rows(found[3].security) == [("B613", 3, 11)]


def test_findings_are_in_order(analyst):
    """An order that changes with the tool's threads, so that two equal programs have unequal analyses."""
    (found,) = analyst.run([GUILTY])
    for findings in (found.style, found.security):
        order = [(f.line, f.column, f.rule) for f in findings]
        assert order == sorted(order)


def test_where_the_parser_gives_up(analyst):
    """A syntax error charged to the wrong character, or a text without a place that is given one."""
    cases = {
        "x = 日本 日\n": (1, 7),
        "x = 1\ry = (\r": (2, 4),
        "def f():\n\treturn 1\n  return 2\n": (3, 10),
        "\ufeffx = 1\n": (1, 0),
        "x = 1\0\n": None,
        "x = '\ud800'\n": None,
        f"x = '{chr(0xD83D)}{chr(0xDE00)}'\n": None,  # two lone surrogates, which JSON joins to one character
        "x = " + "-" * 20000 + "1\n": None,
    }
    expected = [Analysis(parses=False, error=place) for place in cases.values()]
    assert analyst.run(list(cases)) == expected


# Hostile programs


def test_hostile_texts_cost_only_themselves(analyst):
    """A text that ends a tool, or is dropped by it, and takes the findings of its neighbours along."""
    hostile = [path.read_bytes().decode() for path in sorted(ATTACKS.glob("crash_*.py"))]
    hostile += ["", "# nothing\n", "(" * 30000, "[" * 180 + "]" * 180, "x = " + "1+" * 2900 + "1\n"]
    hostile += ["if x:\n  y = 1\n" + "elif x:\n  y = 1\n" * 300]
    assert len(hostile) > 15
    mixed = [text for pair in zip(hostile, [f"{GOOD}# {i}\n" for i in range(99)], strict=False) for text in pair]
    found = analyst.run(mixed)
    for one in found[1::2]:
        assert rows(one.style) == [("F401", 1, 7)]
    assert [one.failed for one in found[::2]] == [""] * len(hostile)
    assert len(found[-2].style) >= 300  # Bandit's own limit of depth would end it before


def test_large_programs_are_not_analysed(analyst):
    """A megabyte, or thousands of findings, that keep the tools busy and the trainer's memory full."""
    found = analyst.run(["x = '" + "a" * (1 << 20) + "'\n", "é" * 40000, "#" * 65535 + "\n", "x=1;" * 2000])
    assert [one.failed for one in found] == ["too large", "too large", "", "too many findings"]
    assert found[3].style == found[3].security == ()


def test_an_error_inside_bandit_is_no_absence_of_findings(analyst):
    """Bandit logs an error of a test and goes on: a program could make the test fail that would have found it."""
    (found,) = analyst.run(["import importlib\nexec(x)\nimportlib.import_module(package='x')\n"])
    assert found.failed.startswith("crash: Bandit: blacklist: KeyError")
    assert found.security == ()


def test_a_program_that_ends_ruff_is_found_out(monkeypatch, tmp_path, analyst):
    """Ruff dies, and the whole batch is without findings; or the innocent are blamed with the culprits."""
    fragile = tmp_path / "ruff"
    fragile.write_text(f'#!/bin/sh\ngrep -q KILL ./*.py && kill -ABRT $$\nexec {analysis.find_ruff()} "$@"\n')
    fragile.chmod(0o700)
    programs = [f"{GOOD}# {number}\n" for number in range(10)]
    programs[3], programs[7] = "import os  # KILL 1\n", "import os  # KILL 2\n"
    monkeypatch.setattr(analysis, "find_ruff", lambda: str(fragile))
    with Analyst() as other:
        found = other.run(programs)
    expected = analyst.run(programs)
    for number, one in enumerate(found):
        if number in (3, 7):
            assert one.failed.startswith("crash: Ruff ended with status -6")
            assert one.style == ()
        else:
            assert one == expected[number]


# A worker that a program can end, as no program ends the real one, as far as we know.
FRAGILE_WORKER = """
import os, sys, time
sys.path.insert(0, {root!r})
from rewards.linters import worker as analysis_worker
parse = analysis_worker.parse
def fragile(program):
    if "ABORT" in program: os.abort()
    if "EAT" in program: bytearray(analysis_worker.MEMORY_BYTES)
    end = time.monotonic() + 20
    while "SPIN" in program and time.monotonic() < end: pass
    return parse(program)
class Nothing:  # found by a Bandit that is not loaded, as it starts six times
    def answer(self, program): return {{"findings": []}}
analysis_worker.Bandit, analysis_worker.parse, analysis_worker.CPU_SECONDS = Nothing, fragile, 0.1
analysis_worker.main(sys.argv[1:])
"""


def test_a_program_that_ends_its_worker_is_found_out(monkeypatch, tmp_path, analyst):
    """A crash of the parser, an endless loop in it or a request for all memory that is not survived or not limited."""
    script = tmp_path / "worker.py"
    script.write_text(FRAGILE_WORKER.format(root=str(ROOT)))
    monkeypatch.setattr(analysis, "_WORKER", script)
    programs = [GOOD, "# ABORT\n", GOOD + "#\n", "# SPIN\n", "# EAT\n", GOOD + "##\n"]
    with Analyst() as other:
        found = other.run(programs)
    assert [one.failed for one in found] == ["", "crash", "", "timeout", "crash", ""]
    assert found[::2][:2] + found[5:] == analyst.run(programs[::2][:2] + programs[5:])


def test_a_worker_that_hangs_is_replaced(monkeypatch):
    """A trainer that waits for ever on a process that is stopped; or blames more than the program at hand."""
    monkeypatch.setattr(analysis, "_JOB_SECONDS", 1.0)
    with Analyst() as other:
        other.run([GOOD])
        os.kill(other._scanners[0].process.pid, signal.SIGSTOP)
        found = other.run([f"{GOOD}# 1\n", f"{GOOD}# 2\n"])
        assert [one.failed for one in found] == ["timeout", ""]
        assert other.run([f"{GOOD}# 1\n"])[0].failed == ""  # a time limit is the machine's, too: not kept


# The service


def test_killed_workers_cost_nothing():
    """A process ended by somebody else (for want of memory, say) and a program that is blamed for it."""
    with Analyst(workers=2) as other:
        other.run([GOOD])
        for worker in (*other._scanners, other._linter):
            os.kill(worker.process.pid, signal.SIGKILL)
        programs = ["exec(x)\n" * number for number in range(7)]
        found = other.run(programs)
    assert [one.failed for one in found] == [""] * 7
    # In order, though two workers took turns.
    assert [len(one.security) for one in found] == list(range(7))
    assert [sum(f.rule == "F821" for f in one.style) for one in found] == list(range(7))


def test_submit_does_not_wait():
    """A submit that runs the analysis itself: it would not return while the workers are stopped."""
    with Analyst() as other:
        other.run([GOOD])
        workers = [other._linter.process.pid, other._scanners[0].process.pid]
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        pending = other.submit([GOOD + "#\n"])
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
        assert pending.results() == pending.results() == other.run([GOOD])


def test_known_programs_are_not_analysed_again(monkeypatch):
    """Equal programs of a batch or of two batches that are analysed twice; a cache without an end."""
    sent = []
    with Analyst(cache=2) as other:
        original = other._analyse_new
        monkeypatch.setattr(other, "_analyse_new", lambda programs: sent.append(programs) or original(programs))
        first = other.run(["a = 1\n", "b = 1\n", "a = 1\n"])
        assert other.run(["a = 1\n"]) == first[:1] == first[2:]
        other.run(["c = 1\n"])  # b, the least recently used, goes
        other.run(["a = 1\n", "b = 1\n"])
        assert other.run(["\ud800", "\udfff"]) == [Analysis(parses=False)] * 2
    assert sent == [["a = 1\n", "b = 1\n"], [], ["c = 1\n"], ["b = 1\n"], ["\ud800", "\udfff"]]


def test_workers_end_with_the_trainer():
    """Processes that stay when the trainer is killed."""
    code = "import os, rewards.linters.pool as a\ns = a.Analyst()\ns.run(['x=1'])\n"
    code += "print(*[w.process.pid for w in (s._linter, *s._scanners)], flush=True)\nos.kill(os.getpid(), 9)\n"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, "a worker outlives its trainer"
        time.sleep(0.02)


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_close_ends_everything():
    """Processes that stay after close; a caller who waits for ever for a batch that nobody works on."""
    other = Analyst()
    other.run([GOOD])
    workers = [other._linter.process, other._scanners[0].process]
    os.kill(workers[1].pid, signal.SIGSTOP)
    waiting = [other.submit([GOOD + "#\n"]), other.submit([GOOD + "##\n"])]
    other.close()
    other.close()
    for pending in waiting:
        with pytest.raises(RuntimeError, match="closed"):
            pending.results()
    with pytest.raises(RuntimeError, match="closed"):
        other.submit([GOOD])
    assert all(worker.returncode is not None for worker in workers)


def test_a_tool_that_does_not_work_is_an_error(monkeypatch):
    """Every program counted as a crash, or as spotless, because of a misspelt rule or another version of a tool."""
    with monkeypatch.context() as misspelt:
        misspelt.setattr(analysis, "SELECT", ("F", "NOPE1"))
        with Analyst() as other, pytest.raises(RuntimeError, match=r"ruff.*NOPE1"):
            other.run([GOOD])
    installed = importlib.metadata.version("bandit")
    monkeypatch.setattr(analysis, "VERSIONS", {"bandit": "0.1"})
    with pytest.raises(RuntimeError, match=f"bandit 0.1 is needed, {installed} installed"):
        Analyst()
    monkeypatch.setattr(analysis, "VERSIONS", {"no-such-tool": "0.1"})
    with pytest.raises(RuntimeError, match="no-such-tool 0.1 is needed, not installed"):
        Analyst()
