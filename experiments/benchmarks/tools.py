"""What the benchmarks share: tables, the name of the machine, and scripts that run in processes of their own."""

import datetime
import json
import os
import platform
import re
import shutil
import subprocess  # nosec B404
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from experiments.report.tables import align

JOBS_PER_PROCESS = 20


@dataclass(frozen=True)
class BenchTable:
    """A header, rows with as many cells as the header, and a note below them."""

    name: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def text(self) -> str:
        return "\n".join(filter(None, (self.name, align(self.header, self.rows), self.note)))

    def markdown(self) -> str:
        rule = ("---", *("---:" for _ in self.header[1:]))
        lines = ["| " + " | ".join(row) + " |" for row in (self.header, rule, *self.rows)]
        return "\n".join([*lines, "", f"{self.note} Measured {describe_machine()}."])


def describe_machine() -> str:
    """Date, processor, cores, kernel and Python version. A figure is comparable only with these."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    info = Path("/proc/cpuinfo")
    found = re.search(r"(?m)^model name\s*:\s*(.+)$", info.read_text()) if info.is_file() else None
    processor = found[1].strip() if found else platform.machine()
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{datetime.date.today()}, {processor}, {cores} cores, {system}"


def find_python(name: str) -> str:
    """The absolute path of `--peers-python`. ValueError if there is no such program."""
    path = shutil.which(name)
    if path is None:
        raise ValueError(f"--peers-python {name}: no such program")
    return os.path.abspath(path)


def run_script(command: Sequence[str], data: object, environment: Mapping[str, str] | None = None) -> object:
    """Give a command JSON on stdin; returns the JSON that it prints. RuntimeError if it fails.

    `environment` is by default our own. The working and cache directory is temporary.
    """
    variables = os.environ if environment is None else environment
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(  # nosec B603: our own scripts
            command,
            input=json.dumps(data).encode(),
            capture_output=True,
            cwd=directory,
            env={**variables, "XDG_CACHE_HOME": directory},
        )
    if done.returncode != 0:
        error = done.stderr[-2000:].decode(errors="replace")
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}: {error}")
    return json.loads(done.stdout)


def run_in_batches(command: Sequence[str], jobs: Sequence, processes: int, environment: Mapping[str, str]) -> list:
    """Like run_script for a command from a list of jobs to a list of answers; `processes` run at a time."""
    batches = [jobs[start : start + JOBS_PER_PROCESS] for start in range(0, len(jobs), JOBS_PER_PROCESS)]
    with ThreadPoolExecutor(processes) as pool:
        answers = pool.map(lambda batch: run_script(command, batch, environment), batches)
        return [answer for some in answers for answer in some]
