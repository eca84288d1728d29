"""A process that analyses programs for rewards/linters/pool.py: `python worker.py bandit | ruff BINARY RULES`.

It reads jobs from stdin and writes replies to stdout, one JSON object a line. The first reply is {}, when the process
is ready. It ends when stdin does, and so with the trainer. Jobs and replies:

    {"do": "parse", "program": ...}   {"parses": bool, "error": null or [line, column]}
    {"do": "bandit", "program": ...}  {"findings": [...]} or {"failed": why}
    {"do": "ruff", "programs": [...]} {"results": [one such reply for each]} or {"failed": why} for all together

A finding is a list of the fields of answer.Finding, in their order. Programs are never run. A program that kills a
parser (some do) kills only this process. The operating system limits its memory, and its CPU time for each job.

No configuration reaches either tool: no file, no environment variable, no comment of the program (`# noqa`, `# nosec`),
no encoding declaration.
Not covered: Bandit plugins of other installed packages would run too.
"""

import ast
import io
import json
import logging
import math
import os
import re
import resource
import signal
import subprocess  # nosec B404
import sys
import tempfile
from pathlib import Path

CPU_SECONDS = 5.0  # for one job; Bandit takes 0.4 ms for a program of ten lines
MEMORY_BYTES = 2 << 30
MOST_FINDINGS = 1000  # of one tool in one program: honest programs have fewer, and the trainer keeps them all
RUFF_SECONDS = 20.0  # elapsed; 128 programs take 0.015
_RECURSION_LIMIT = 20_000  # with Python's 1,000, Bandit would miss code behind a long chain of `elif`

# py311 is the oldest Python that this project runs on: findings are then the same everywhere.
RUFF_OPTIONS = (
    *("check", "--isolated", "--no-cache", "--no-preview", "--ignore-noqa"),
    *("--line-length", "88", "--target-version", "py311", "--output-format", "json", "--exit-zero", "--quiet"),
)
_SYNTAX_ERRORS = (None, "E999", "invalid-syntax")  # the code of a syntax error in different versions of Ruff
_RULE = re.compile(r"[A-Z]+[0-9]+")
_LINE_END = re.compile(r"\r\n|\n|\r")


class Failed(Exception):
    """A tool failed on a program; the text says why."""


def main(arguments: list[str]) -> None:
    kind, *rest = arguments
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # output of a library is no reply
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    actions = {"ruff": Ruff(*rest).answer} if kind == "ruff" else {"parse": parse, "bandit": Bandit().answer}
    reply: dict = {}
    while True:
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
        line = sys.stdin.buffer.readline()
        if not line.endswith(b"\n"):
            return
        job = json.loads(line)
        _allow_cpu(CPU_SECONDS)
        try:
            reply = actions[job.pop("do")](**job)
        except Failed as failure:
            reply = {"failed": str(failure)}


def _allow_cpu(seconds: float) -> None:
    """From now on. Afterwards the kernel sends SIGXCPU, which ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = math.ceil(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _capped(findings: list[list]) -> dict:
    return {"failed": "too many findings"} if len(findings) > MOST_FINDINGS else {"findings": findings}


def parse(program: str) -> dict:
    """Whether Python's parser accepts the text; if not, where it stopped (line from 1, column from 0 in characters)."""
    try:
        ast.parse(program)
    except SyntaxError as error:
        # Python counts from 1; 0 and -1 stand for the whole line.
        place = None if not error.lineno else [error.lineno, max(error.offset or 1, 1) - 1]
        return {"parses": False, "error": place}
    except (ValueError, OverflowError, MemoryError, RecursionError):  # for example: nested too deep
        return {"parses": False, "error": None}
    return {"parses": True, "error": None}


# Bandit -----------------------------------------------------------------------------------------------------------


class Bandit:
    """All of Bandit's tests with their default settings, on texts in memory."""

    def __init__(self) -> None:
        # Imported here: it takes 0.2 s, which the worker for Ruff need not spend.
        from bandit.core import config, metrics, node_visitor, test_set, tester

        class Tester(tester.BanditTester):
            """Also keeps the node of each issue, and fails if a test of Bandit fails."""

            def __init__(self, tests) -> None:
                super().__init__(tests, debug=False, nosec_lines={}, metrics=metrics.Metrics())
                self.nodes: list[ast.AST | None] = []

            def run_tests(self, raw_context, checktype):
                scores = super().run_tests(raw_context, checktype)
                self.nodes += [raw_context.get("node")] * (len(self.results) - len(self.nodes))
                return scores

            @staticmethod
            def report_error(test, context, error):
                raise Failed(f"crash: Bandit: {test}: {type(error).__name__}: {error}") from error

        self.tester, self.visitor = Tester, node_visitor.BanditNodeVisitor
        self.tests = test_set.BanditTestSet(config.BanditConfig())

    def answer(self, program: str) -> dict:
        # B613 looks for characters that reverse the text, in the bytes of the file, and obeys an encoding declaration
        # in the first two lines, which could hide them. So two empty lines come first.
        file = io.BytesIO(("\n\n" + program).encode())
        visitor = self.visitor("./program.py", file, None, self.tests, False, {}, None)
        visitor.tester = self.tester(self.tests)
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(_RECURSION_LIMIT)
        try:
            visitor.process(program)
        except (RecursionError, MemoryError, SyntaxError, ValueError) as error:
            raise Failed(f"crash: Bandit: {type(error).__name__}") from error
        finally:
            sys.setrecursionlimit(limit)
        lines = _LINE_END.split(program)
        issues = zip(visitor.tester.results, visitor.tester.nodes, strict=True)
        return _capped([_bandit_finding(program, lines, issue, node) for issue, node in issues])


def _bandit_finding(program: str, lines: list[str], issue, node: ast.AST | None) -> list:
    place = _place_in_file(program, issue) if node is None else _place(lines, issue, node)
    return [issue.test_id, *place, issue.severity, issue.text, issue.confidence, issue.cwe.id]


def _place(lines: list[str], issue, node: ast.AST) -> tuple[int, int, int, int]:
    """Bandit's line may be that of an argument, while its column is that of the whole call: both are kept."""
    column = _in_characters(lines[node.lineno - 1], issue.col_offset)
    return issue.lineno, column, node.end_lineno, _in_characters(lines[node.end_lineno - 1], node.end_col_offset)


def _place_in_file(program: str, issue) -> tuple[int, int, int, int]:
    """For B613, one character: its lines are those of str.splitlines, two of them ours; its columns count from 1."""
    before = "".join(program.splitlines(keepends=True)[: issue.lineno - 3])
    lines = _LINE_END.split(program[: len(before) + issue.col_offset - 1])
    return len(lines), len(lines[-1]), len(lines), len(lines[-1]) + 1


def _in_characters(line: str, offset: int) -> int:
    """A column in characters, from one in bytes of UTF-8."""
    data = line.encode()
    # In f-strings Python 3.11 is sometimes wrong: behind the line's end, or inside a character.
    return len(data[:offset].decode(errors="ignore")) + max(0, offset - len(data))


# Ruff -------------------------------------------------------------------------------------------------------------


class Ruff:
    """Runs `binary` with `rules` (prefixes, separated by commas), once for all programs of a batch.

    Ends this process, with Ruff's complaint, if Ruff does not work at all: an unknown rule, a missing file.
    """

    def __init__(self, binary: str, rules: str) -> None:
        self.command = [binary, *RUFF_OPTIONS, "--select", rules]
        try:
            self.answer([""])
        except (Failed, OSError) as error:
            sys.exit(f"{binary}: {error}")

    def answer(self, programs: list[str]) -> dict:
        with tempfile.TemporaryDirectory(prefix="codeladder-ruff-") as directory:
            names = [f"{number}.py" for number in range(len(programs))]
            for name, program in zip(names, programs, strict=True):
                Path(directory, name).write_bytes(program.encode())
            diagnostics = self._run(directory, names)
        found: list[list[dict]] = [[] for _ in programs]
        for diagnostic in diagnostics:
            found[int(Path(diagnostic["filename"]).stem)].append(diagnostic)
        return {"results": [_ruff_reply(one) for one in found]}

    def _run(self, directory: str, names: list[str]) -> list[dict]:
        try:
            # A fixed command and file names of our own, no shell.
            done = subprocess.run(  # nosec B603
                [*self.command, *names],
                cwd=directory,
                env={"RAYON_NUM_THREADS": "2"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=RUFF_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Failed("timeout") from error
        if done.returncode == -signal.SIGXCPU:
            raise Failed("timeout")
        if done.returncode:
            complaint = done.stderr.decode(errors="replace").strip().replace("\n", " ")
            raise Failed(f"crash: Ruff ended with status {done.returncode}: {complaint[:200]}")
        return json.loads(done.stdout)


def _ruff_reply(diagnostics: list[dict]) -> dict:
    findings = []
    for diagnostic in diagnostics:
        code, start, end = diagnostic["code"], diagnostic["location"], diagnostic["end_location"]
        if code in _SYNTAX_ERRORS:
            code = "invalid-syntax"
        elif code == "E902" or not _RULE.fullmatch(code):  # Ruff could not read the file, or failed
            return {"failed": f"crash: Ruff: {code}: {diagnostic['message'][:200]}"}
        place = [start["row"], start["column"] - 1, end["row"], end["column"] - 1]
        findings.append([code, *place, "", diagnostic["message"], "", 0])
    return _capped(findings)


if __name__ == "__main__":
    main(sys.argv[1:])
