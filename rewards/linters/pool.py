"""Static analysis for the rewards: Ruff and Bandit over batches of programs, outside the trainer's process.

    with Analyst() as analyst:
        pending = analyst.submit(programs)  # at once; the sandbox can run the programs meanwhile
        analyses = pending.results()

For each batch Ruff is started once, by a worker process of its own, while others, which stay, go through the programs
with Bandit (worker.py). First all are parsed; what Python does not take, neither tool gets to see. What is
known is kept by content, so that equal programs are analysed once.

Covered: workers are started by `subprocess` with a clean environment (the trainer, which may hold threads and CUDA,
never forks itself); a program that ends or stops a tool costs itself its analysis and no other program; nothing waits
without a deadline; when the trainer dies its workers end.
Not covered: a worker that is killed while Ruff is at work leaves a directory of programs behind.
"""

import contextlib
import hashlib
import importlib.metadata
import itertools
import json
import os
import re
import select as polling
import signal
import subprocess  # nosec B404
import sys
import tempfile
import time
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path

from rewards.answer import Analysis, Finding

# Ruff's rules, always named, as its defaults change. Style and plain bugs of short functions; each needs a class in
# components/style.py. None is left out by mistake: I believes comments of isort, D and ANN ask for more than the
# problems do, S is Bandit's in another form, PLR counts branches and constants, which the problems dictate, and W292
# wants an empty last line, where a model ends with its end of sequence.
SELECT = ("E", "F", "W1", "W291", "W293", "W5", "W6", "B", "C4", "UP", "SIM", "RET", "PIE", "PLE", "PLW", "N", "A")
VERSIONS = {"ruff": "0.17.5", "bandit": "1.9.4"}  # as in setup.cfg: what is found differs between versions
LARGEST = 64 << 10  # bytes of UTF-8 of a program that is analysed

_UNREADABLE = re.compile("[\0\ud800-\udfff]")  # zero; and lone surrogates, of which JSON would join two
_WORKER = Path(__file__).with_name("worker.py")
# Elapsed seconds. The workers' own limits, of CPU time, come first, unless the machine is very busy.
_START_SECONDS = 60.0
_STARTS = 3  # in a row that may fail before it is an error
_JOB_SECONDS = 30.0
_LINT_SECONDS = 120.0  # for Ruff on a whole batch, with all its new starts


class Analyst:
    """Ruff and Bandit over batches of programs, outside the caller's process.

    workers  processes for Bandit; Ruff has one more, and two threads
    cache    programs whose analysis is kept; the least recently used go first
    select   Ruff's rules, as prefixes

    May be used from several threads; batches are worked on one after the other. Raises ValueError for workers < 1 or
    cache < 0, RuntimeError where Ruff or Bandit is not installed in the version that is needed.
    """

    def __init__(self, workers: int = 1, cache: int = 20_000, select: tuple[str, ...] = SELECT) -> None:
        if workers < 1 or cache < 0:
            raise ValueError(f"Analyst: workers must be at least 1 and cache at least 0, not {workers} and {cache}")
        check_versions()
        self._cache: OrderedDict[bytes, Analysis] = OrderedDict()
        self._cache_size = cache
        self._linter = _Worker("ruff", find_ruff(), ",".join(select))
        self._scanners = [_Worker("bandit") for _ in range(workers)]
        self._driver = ThreadPoolExecutor(1, "analysis")
        self._helpers = ThreadPoolExecutor(workers + 1, "analysis")
        everyone = self._workers = [self._linter, *self._scanners]
        # For an Analyst that nobody has closed and nobody holds any more: then no batch is under way either.
        self._end = weakref.finalize(self, _end, everyone)

    def submit(self, programs: Sequence[str]) -> "Pending":
        """Start on the programs and return at once. RuntimeError when the Analyst is closed."""
        if not self._end.alive:
            raise RuntimeError("the Analyst is closed")
        return Pending(self._driver.submit(self._analyse, list(programs)))

    def run(self, programs: Sequence[str]) -> list[Analysis]:
        """The analyses, in the order of the programs."""
        return self.submit(programs).results()

    def close(self) -> None:
        """End all processes. May be called twice. A batch under way raises RuntimeError to who waits for it."""
        for worker in self._workers:
            worker.stop()
        self._driver.shutdown(cancel_futures=True)
        self._helpers.shutdown()
        self._end()

    def __enter__(self) -> "Analyst":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # On the driver's thread

    def _analyse(self, programs: list[str]) -> list[Analysis]:
        keys = [_key(program) for program in programs]
        new = {key: program for key, program in zip(keys, programs, strict=True) if key not in self._cache}
        found = dict(zip(new, self._analyse_new(list(new.values())), strict=True))
        for key in keys:
            if key not in found:
                self._cache.move_to_end(key)
                found[key] = self._cache[key]
        for key in new:
            if found[key].failed != "timeout":  # the machine was busy, perhaps
                self._cache[key] = found[key]
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        return [found[key] for key in keys]

    def _analyse_new(self, programs: list[str]) -> list[Analysis]:
        """Parse all, then Ruff and Bandit side by side on those that parse. The programs differ from each other."""
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
            analyses[program] = _analysis(style, security)
        return [analyses[program] for program in programs]

    def _scan(self, action: str, programs: list[str]) -> list[dict]:
        """One reply for each program, from the Bandit workers, each with its share of them."""
        count = len(self._scanners)
        shares = [[{"do": action, "program": program} for program in programs[i::count]] for i in range(count)]
        replies = list(self._helpers.map(_Worker.run, self._scanners, shares))
        mixed = itertools.chain.from_iterable(itertools.zip_longest(*replies))
        return [reply for reply in mixed if reply is not None]

    def _lint(self, programs: list[str], until: float) -> list[dict]:
        """One reply for each program, from one start of Ruff. If it does not survive them, it is started for each half,
        and so on, until the culprit is alone. Ruff does not say which it was."""
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
    """A batch under way."""

    def __init__(self, future: Future) -> None:
        self._future = future

    def results(self) -> list[Analysis]:
        """The analyses, in the order of the programs; waits for them. May be called more than once.

        RuntimeError when the workers do not start, or the Analyst was closed.
        """
        try:
            return self._future.result()  # each step of the driver has a deadline
        except CancelledError as error:
            raise RuntimeError("the Analyst is closed") from error


def check_versions() -> None:
    """RuntimeError, with what to do, unless Ruff and Bandit are installed in the versions of VERSIONS."""
    for name, needed in VERSIONS.items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = "not"
        if installed != needed:
            raise RuntimeError(f"{name} {needed} is needed, {installed} installed: pip install {name}=={needed}")


def find_ruff() -> str:
    """The path of Ruff as it was installed with its Python package. FileNotFoundError when it is not there."""
    from ruff import find_ruff_bin  # here, after check_versions, which says what to do if it is missing

    return os.fsdecode(find_ruff_bin())


def _key(program: str) -> bytes:
    return hashlib.sha256(program.encode("utf-8", "surrogatepass")).digest()


def _refuse(program: str) -> Analysis | None:
    """The analysis of a text that needs none, or can have none."""
    if len(program.encode("utf-8", "surrogatepass")) > LARGEST:
        return Analysis(parses=False, failed="too large")
    if _UNREADABLE.search(program):
        return Analysis(parses=False)  # Python says so, without naming a place
    return None


def _analysis(style: dict, security: dict) -> Analysis:
    failed = style.get("failed") or security.get("failed")
    if failed:
        return Analysis(parses=True, failed=failed)
    return Analysis(parses=True, style=_findings(style), security=_findings(security))


def _findings(reply: dict) -> tuple[Finding, ...]:
    """By line, column and rule."""
    rows = sorted(reply["findings"], key=lambda row: (row[1], row[2], row))
    return tuple(Finding(*row) for row in rows)


def _end(workers: list["_Worker"]) -> None:
    for worker in workers:
        worker.end()


class _Gone(Exception):
    """A worker that does not answer: "crash" or "timeout"."""


class _Worker:
    """One process of worker.py, started anew when it dies. One thread at a time calls `run`."""

    def __init__(self, *arguments: str) -> None:
        self.arguments, self.closed, self._failed_starts = arguments, False, 0
        self._start()

    def run(self, jobs: list[dict]) -> list[dict]:
        """The replies. {"failed": "crash"} for a job under which the process died twice, {"failed": "timeout"} for one
        that took too long. Twice, as somebody else may have killed it. RuntimeError when it does not start."""
        replies: list[dict] = []
        died_at = None
        while len(replies) < len(jobs):
            try:
                self._greet()
                self._outbox += b"".join(json.dumps(job).encode() + b"\n" for job in jobs[len(replies) :])
                while len(replies) < len(jobs):
                    replies.append(self._receive(_JOB_SECONDS))
            except _Gone as gone:
                if self.closed:
                    raise RuntimeError("the Analyst is closed") from gone
                if not self._greeted:
                    self._note_failed_start(gone)
                elif str(gone) == "timeout" or died_at == len(replies):
                    replies.append({"failed": str(gone)})
                else:
                    died_at = len(replies)
                self.end()
                self._start()
        return replies

    def stop(self) -> None:
        """From another thread: whoever is in `run` gets a RuntimeError, and `end` is then to be called."""
        self.closed = True
        self._kill()

    def _start(self) -> None:
        environment = {"PYTHONHASHSEED": "0"}
        for name in ("LD_LIBRARY_PATH", "TMPDIR"):  # some builds of Python do not start without the first
            if name in os.environ:
                environment[name] = os.environ[name]
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
            start_new_session=True,  # Ctrl-C at the terminal is the trainer's affair
        )
        os.set_blocking(self.process.stdin.fileno(), False)
        self._inbox, self._outbox = b"", bytearray()
        self._greeted = self._ended = False

    def _greet(self) -> None:
        """Wait for the process to be ready."""
        if not self._greeted:
            self._receive(_START_SECONDS)
            self._greeted, self._failed_starts = True, 0

    def _note_failed_start(self, gone: _Gone) -> None:
        self._failed_starts += 1
        if self._failed_starts >= _STARTS:
            self._errors.seek(0)
            lines = self._errors.read().decode(errors="replace").strip().splitlines() or [str(gone)]
            reason = f"the worker of static analysis ({self.arguments[0]}) does not start: {lines[-1]}"
            raise RuntimeError(reason) from gone

    def _receive(self, seconds: float) -> dict:
        """The next reply; sends, meanwhile, what there is to send. Raises _Gone."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._inbox:
            self._exchange(deadline)
        line, _, self._inbox = self._inbox.partition(b"\n")
        return json.loads(line)

    def _exchange(self, deadline: float) -> None:
        reader, writer = self.process.stdout.fileno(), self.process.stdin.fileno()
        poll = polling.poll()
        poll.register(reader, polling.POLLIN)
        if self._outbox:
            poll.register(writer, polling.POLLOUT)
        ready = {number for number, _ in poll.poll(max(0.0, deadline - time.monotonic()) * 1000)}
        if not ready:
            raise _Gone("timeout")
        if writer in ready:
            self._send(writer)
        if reader in ready:
            part = os.read(reader, 1 << 18)
            if not part:
                raise _Gone("timeout" if self._exit_code() == -signal.SIGXCPU else "crash")
            self._inbox += part

    def _send(self, writer: int) -> None:
        try:
            del self._outbox[: os.write(writer, self._outbox)]
        except BrokenPipeError:  # it has died; what it had to say is still to be read
            self._outbox.clear()

    def _exit_code(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5.0)
        return self.process.returncode

    def end(self) -> None:
        """The process, and the Ruff that it may have started, are gone after this. May be called twice."""
        self._kill()
        self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self._errors):
            file.close()
        self._ended = True

    def _kill(self) -> None:
        if not self._ended:  # later the number may be another's
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
