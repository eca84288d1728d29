"""The sandbox from the command line.

    python -m sandbox judge IN.jsonl --slots 2 > OUT.jsonl      one JSON object a line, in and out
    python -m sandbox doctor                                    which layers of protection work on this machine

A line of IN.jsonl ("-" is stdin) is one of

    {"id": 1, "program": "...", "tests": ["assert f(1) == 2"], "entry_point": "f", "setup": "import math"}
    {"id": 2, "program": "...", "check": "def check(candidate): ...", "entry_point": "f", "setup": "..."}
    {"id": 3, "program": "...", "cases": [{"stdin": "1\\n", "stdout": "2\\n"}], "tolerance": 1e-6}

Optional: "setup"; with tests "entry_point"; "support" (source that runs before the program); "want_lines" (true: report
executed lines); "want_values" (true: report returned values); "cpu_seconds" (instead of --test-cpu-seconds).
Answers come in the same order: the id and the fields of sandbox.Outcome. The answer to an invalid line is
{"id": ..., "line_number": n, "error": "..."}, and the exit status is then 1.
"""

import argparse
import dataclasses
import json
import signal
import sys
import time
from collections.abc import Iterator
from typing import NoReturn, TextIO

from sandbox.confine import layers
from sandbox.outcome import Case, Limits, Outcome, Task
from sandbox.pool import Sandbox

_FIELDS = {"id", *(field.name for field in dataclasses.fields(Task))}


class _Parser(argparse.ArgumentParser):
    """argparse, but an error is one line."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: error: {message}", file=sys.stderr)
        raise SystemExit(2)


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    try:
        if options.command == "doctor":
            return doctor(options.without)
        limits = Limits(**{field.name: getattr(options, field.name) for field in dataclasses.fields(Limits)})
        sandbox = Sandbox(options.slots, limits, allow_weak=options.allow_weak_sandbox)
    except (ValueError, RuntimeError) as error:
        print(f"python -m sandbox {options.command}: error: {error}", file=sys.stderr)
        return 2
    with sandbox:
        return judge_file(sandbox, options.input)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="python -m sandbox", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="judge|doctor")
    judge = commands.add_parser("judge", help="judge the programs of a JSON-lines file")
    judge.add_argument("input", type=argparse.FileType("r", encoding="utf-8"), metavar="IN.jsonl")
    judge.add_argument("--slots", type=int, default=2, help="programs at a time (default 2)")
    judge.add_argument("--allow-weak-sandbox", action="store_true", help="go on where layers are missing")
    for field in dataclasses.fields(Limits):
        flag = "--" + field.name.replace("_", "-")
        judge.add_argument(flag, type=field.type, default=field.default, help=f"default {field.default}")
    check = commands.add_parser("doctor", help="tell which layers of protection work here")
    check.add_argument("--without", action="append", default=[], metavar="LAYER", help="check a sandbox without it")
    return parser.parse_args(arguments)


def judge_file(sandbox: Sandbox, file: TextIO) -> int:
    """Answer each line, in order. Returns the exit status."""
    began = time.monotonic()
    lines = [read_line(number, line) for number, line in enumerate(file, 1) if line.strip()]
    tasks = [item for _, item in lines if isinstance(item, Task)]
    outcomes = _in_order(sandbox.stream(tasks))
    passed = 0
    for identity, item in lines:
        if isinstance(item, Task):
            outcome = next(outcomes)
            passed += outcome.passed == outcome.total
            item = outcome.to_dict()
        print(json.dumps({"id": identity} | item), flush=True)
    malformed = len(lines) - len(tasks)
    seconds = time.monotonic() - began
    summary = f"{len(tasks)} programs in {seconds:.1f} s: {passed} passed all their tests"
    print(summary + (f"; {malformed} lines malformed" if malformed else ""), file=sys.stderr)
    return 1 if malformed else 0


def _in_order(stream: Iterator[tuple[int, Outcome]]) -> Iterator[Outcome]:
    """The outcomes by index, each as soon as it and all before it have arrived."""
    early: dict[int, Outcome] = {}
    turn = 0
    for index, outcome in stream:
        early[index] = outcome
        while turn in early:
            yield early.pop(turn)
            turn += 1


def read_line(number: int, line: str) -> tuple[object, Task | dict]:
    """(id, the task), or (id or None, what is wrong)."""
    identity = None
    try:
        fields = json.loads(line)
        if not isinstance(fields, dict):
            raise ValueError("not a JSON object")
        identity = fields.get("id")
        return identity, _task(fields)
    except (ValueError, RecursionError) as error:
        return identity, {"line_number": number, "error": str(error)}


def _task(fields: dict) -> Task:
    unknown = sorted(fields.keys() - _FIELDS)
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}; there are {', '.join(sorted(_FIELDS))}")
    if "program" not in fields:
        raise ValueError("program is missing")
    fields = {"tests": [], "cases": []} | fields
    fields.pop("id", None)
    for name in ("tests", "cases"):
        if not isinstance(fields[name], list):
            raise ValueError(f"{name} must be a list")
    return Task(**fields | {"tests": tuple(fields["tests"]), "cases": tuple(map(_case, fields["cases"]))})


def _case(fields: object) -> Case:
    if not isinstance(fields, dict) or set(fields) != {"stdin", "stdout"}:
        raise ValueError("each of cases must be an object with stdin and stdout")
    return Case(**fields)


def doctor(without: list[str]) -> int:
    """Print a row for each layer, and what is not covered where one is off. Returns 1 below the minimum, else 0."""
    with Sandbox(slots=1, allow_weak=True, without=without) as sandbox:
        status = sandbox.layers
    missing = [layer for layer in layers.LAYERS if status[layer.name] != "on"]
    width = max(len(layer.name) for layer in layers.LAYERS)
    print(f"{'layer':<{width}}  {'here':<4} protection")
    for layer in layers.LAYERS:
        print(f"{layer.name:<{width}}  {'OFF' if layer in missing else 'on':<4} {layer.protects}")
    if missing:
        print("\nnot covered here:")
    for layer in missing:
        print(f"  {layer.name} is off ({status[layer.name]}): {layer.without_it}")
    if below := layers.missing_minimum(status):
        print(f"\nbelow the minimum for training, which needs: {', '.join(below)}")
        return 1
    print("\nthe minimum for training is reached")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `... | head` ends quietly
    sys.exit(main())
