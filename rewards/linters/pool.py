"""Static analysis for the rewards: Ruff and Bandit over batches of programs, outside the trainer's process.

    with Analyst() as analyst:
        pending = analyst.submit(programs)  # returns at once; the sandbox can run the programs meanwhile
        analyses = pending.results()

One worker process (worker.py) starts Ruff once a batch, while others, which stay, run Bandit. Both tools get only
programs that Python's parser accepts. Results are kept by content.

Covered: the workers get a clean environment; the trainer, which may hold threads and CUDA, never forks; a program that
kills or stops a tool loses only its own analysis; every wait has a deadline; workers end with the trainer.
Not covered: a worker that is killed while Ruff runs leaves a directory of programs behind.
"""

import contextlib
import hashlib
import importlib.metadata
import itertools
import json
import os
import re
import select
import signal
import subprocess  # nosec B404
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path

from rewards.answer import Analysis, Finding
from rewards.linters.rules import SELECT, class_of

VERSIONS = {"ruff": "0.17.5", "bandit": "1.9.4"}  # as in setup.cfg; other versions find other things
LARGEST = 64 << 10  # bytes of UTF-8 of a program that is analysed

_UNREADABLE = re.compile("[\0\ud800-\udfff]")  # NUL; and lone surrogates, because JSON would join two of them
_WORKER = Path(__file__).with_name("worker.py")
# Elapsed seconds. The workers' own limits of CPU time come first, unless the machine is very busy.
_START_SECONDS = 60.0
_STARTS = 3  # failed starts in a row that are an error
_JOB_SECONDS = 30.0
_LINT_SECONDS = 120.0  # for Ruff on a whole batch, with all restarts


class Analyst:
    """`workers` processes for Bandit and one for Ruff; keeps the analyses of the `cache` last used programs.

    Several threads may use it; it works on one batch after the other. RuntimeError if Ruff or Bandit is not installed
    in the needed version.
    """

    def __init__(self, workers: int = 1, cache: int = 20_000) -> None:
        check_versions()
        self._cache: OrderedDict[bytes, Analysis] = OrderedDict()  # by hash of the text, the last used last
        self._cache_size = cache
        self._linter = _Worker("ruff", find_ruff(), ",".join(SELECT))
        self._scanners = [_Worker("bandit") for _ in range(workers)]
        self._driver = ThreadPoolExecutor(1, "analysis")
        self._helpers = ThreadPoolExecutor(workers + 1, "analysis")
        self._closed = False

    def submit(self, programs: Sequence[str]) -> "Pending":
        """Start on the programs and return at once. RuntimeError after `close`."""
        if self._closed:
            raise RuntimeError("the Analyst is closed")
        return Pending(self._driver.submit(self._analyse, list(programs)))

    def run(self, programs: Sequence[str]) -> list[Analysis]:
        """The analyses, in the order of the programs."""
        return self.submit(programs).results()

    def close(self) -> None:
        """End all processes. May be called twice. Unfinished batches raise RuntimeError to their callers."""
        self._closed = True
        workers = [self._linter, *self._scanners]
        for worker in workers:
            worker.stop()
        self._driver.shutdown(cancel_futures=True)
        self._helpers.shutdown()
        for worker in workers:
            worker.end()

    def __enter__(self) -> "Analyst":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # On the driver's thread

    def _analyse(self, programs: list[str]) -> list[Analysis]:
        keys = [hashlib.sha256(_encode(program)).digest() for program in programs]
        new = {key: program for key, program in zip(keys, programs, strict=True) if key not in self._cache}
        self._cache |= zip(new, self._analyse_new(list(new.values())), strict=True)
        found = [self._cache[key] for key in keys]
        for key in keys:
            self._cache.move_to_end(key)
        for key in new:
            if self._cache[key].failed == "timeout":  # perhaps only because the machine was busy
                del self._cache[key]
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        return found

    def _analyse_new(self, programs: list[str]) -> list[Analysis]:
        """Parse all programs, which are different, then run Ruff and Bandit at the same time on those that parse."""
        analyses = {program: refused for program in programs if (refused := _refuse(program)) is not None}
        sent = [program for program in programs if program not in analyses]
        for program, reply in zip(sent, self._scan("parse", sent), strict=True):
            if "failed" in reply or not reply["parses"]:
                error = reply.get("error")
                analyses[program] = Analysis(False, error and tuple(error), failed=reply.get("failed", ""))
        parsed = [program for program in sent if program not in analyses]
        linted = self._helpers.submit(self._lint, parsed, time.monotonic() + _LINT_SECONDS)
        scanned = self._scan("bandit", parsed)
        for program, style, security in zip(parsed, linted.result(), scanned, strict=True):
            failed = style.get("failed") or security.get("failed")
            findings = {} if failed else {"style": _findings(style), "security": _findings(security)}
            analyses[program] = Analysis(parses=True, failed=failed or "", **findings)
        return [analyses[program] for program in programs]

    def _scan(self, action: str, programs: list[str]) -> list[dict]:
        """One reply for each program. The Bandit workers take turns."""
        count = len(self._scanners)
        shares = [[{"do": action, "program": program} for program in programs[i::count]] for i in range(count)]
        replies = list(self._helpers.map(_Worker.run, self._scanners, shares))
        mixed = itertools.chain.from_iterable(itertools.zip_longest(*replies))
        return [reply for reply in mixed if reply is not None]

    def _lint(self, programs: list[str], until: float) -> list[dict]:
        """One reply for each program. If Ruff fails, it does not say on which: it starts again for each half."""
        if not programs:
            return []
        if time.monotonic() > until:
            return [{"failed": "timeout"}] * len(programs)
        (reply,) = self._linter.run([{"do": "ruff", "programs": programs}])
        if "failed" not in reply:
            return reply["results"]
        if len(programs) == 1:
            return [reply]
        middle = len(programs) // 2
        return self._lint(programs[:middle], until) + self._lint(programs[middle:], until)


class Pending:
    """A batch that is being analysed."""

    def __init__(self, future: Future) -> None:
        self._future = future

    def results(self) -> list[Analysis]:
        """Wait for the analyses. RuntimeError if the workers do not start, or if the Analyst was closed."""
        try:
            return self._future.result()  # ends, as every step of the driver has a deadline
        except CancelledError as error:
            raise RuntimeError("the Analyst is closed") from error


def check_versions() -> None:
    """RuntimeError, with the remedy, unless Ruff and Bandit are installed in the versions of VERSIONS."""
    for name, needed in VERSIONS.items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = "not"
        if installed != needed:
            raise RuntimeError(f"{name} {needed} is needed, {installed} installed: pip install {name}=={needed}")


def find_ruff() -> str:
    """The path of the Ruff that belongs to its Python package. FileNotFoundError if it is missing."""
    from ruff import find_ruff_bin  # here, because check_versions has the better error message

    return os.fsdecode(find_ruff_bin())


def _encode(program: str) -> bytes:
    return program.encode("utf-8", "surrogatepass")


def _refuse(program: str) -> Analysis | None:
    """The analysis of a text that the workers do not get."""
    if len(_encode(program)) > LARGEST:
        return Analysis(parses=False, failed="too large")
    if _UNREADABLE.search(program):
        return Analysis(parses=False)  # Python refuses it too, and names no place
    return None


def _findings(reply: dict) -> tuple[Finding, ...]:
    """By line, column and rule. A finding of Ruff, which has no grades, gets its class as severity."""
    rows = sorted(reply["findings"], key=lambda row: (row[1], row[2], row))
    return tuple(Finding(*row[:5], row[5] or class_of(row[0]), *row[6:]) for row in rows)


class _Gone(Exception):
    """A worker does not answer: "crash" or "timeout"."""


class _Worker:
    """One process of worker.py, restarted when it dies. One thread at a time calls `run`."""

    def __init__(self, *arguments: str) -> None:
        self.arguments, self.closed = arguments, False
        self._start()

    def run(self, jobs: list[dict]) -> list[dict]:
        """One reply for each job: {"failed": "timeout"} if it took too long, {"failed": "crash"} if the process died
        twice (once may have another cause). RuntimeError if the process does not start."""
        replies: list[dict] = []
        deaths = 0  # since the last reply
        while len(replies) < len(jobs):
            try:
                self._greet()
                self._outbox += b"".join(json.dumps(job).encode() + b"\n" for job in jobs[len(replies) :])
                while len(replies) < len(jobs):
                    replies.append(self._receive(_JOB_SECONDS))
                    deaths = 0
            except _Gone as gone:
                deaths += 1
                if self.closed:
                    raise RuntimeError("the Analyst is closed") from gone
                if not self._greeted and deaths >= _STARTS:
                    raise RuntimeError(self._complaint(str(gone))) from gone
                if self._greeted and (str(gone) == "timeout" or deaths > 1):
                    replies.append({"failed": str(gone)})
                    deaths = 0
                self.end()
                self._start()
        return replies

    def stop(self) -> None:
        """From another thread: `run` then raises RuntimeError. Call `end` afterwards."""
        self.closed = True
        self._kill()

    def end(self) -> None:
        """End the process and any Ruff that it started. May be called twice."""
        self._kill()
        self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self._errors):
            file.close()
        self._ended = True

    def _kill(self) -> None:
        if not self._ended:  # afterwards another process may have the number
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def _start(self) -> None:
        kept = ("LD_LIBRARY_PATH", "TMPDIR")  # some builds of Python do not start without the first
        environment = {"PYTHONHASHSEED": "0"} | {name: os.environ[name] for name in kept if name in os.environ}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        # A fixed command, this project's own script, no shell.
        self.process = subprocess.Popen(  # nosec B603
            [sys.executable, "-P", "-W", "ignore", "-X", "utf8", str(_WORKER), *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd="/",
            env=environment,
            bufsize=0,
            start_new_session=True,  # Ctrl-C at the terminal must reach the trainer only
        )
        os.set_blocking(self.process.stdin.fileno(), False)
        self._inbox, self._outbox = b"", bytearray()
        self._greeted = self._ended = False

    def _greet(self) -> None:
        """Wait until the process is ready."""
        if not self._greeted:
            self._receive(_START_SECONDS)
            self._greeted = True

    def _complaint(self, reason: str) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines() or [reason]
        return f"the worker of static analysis ({self.arguments[0]}) does not start: {lines[-1]}"

    def _receive(self, seconds: float) -> dict:
        """The next reply. Sends jobs meanwhile. Raises _Gone."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._inbox:
            self._exchange(deadline)
        line, _, self._inbox = self._inbox.partition(b"\n")
        return json.loads(line)

    def _exchange(self, deadline: float) -> None:
        reader, writer = self.process.stdout.fileno(), self.process.stdin.fileno()
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        if self._outbox:
            poll.register(writer, select.POLLOUT)
        ready = {number for number, _ in poll.poll(max(0.0, deadline - time.monotonic()) * 1000)}
        if not ready:
            raise _Gone("timeout")
        if writer in ready:
            try:
                del self._outbox[: os.write(writer, self._outbox)]
            except BrokenPipeError:  # it died; its last replies are still to be read
                self._outbox.clear()
        if reader in ready:
            part = os.read(reader, 1 << 18)
            if not part:
                raise _Gone("timeout" if self._exit_code() == -signal.SIGXCPU else "crash")
            self._inbox += part

    def _exit_code(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5.0)
        return self.process.returncode
