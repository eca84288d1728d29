"""The caller's side: a few zygotes, each with one job at a time; the next job goes to whichever is free.

Covered (tests in tests/sandbox/test_pool.py): the caller never forks itself (subprocess starts the zygotes,
with a clean environment), so it may hold threads and CUDA; a zygote that dies or goes silent is replaced and
its job judged a crash, once; an interrupted run (Ctrl-C) leaves the pool usable; close() leaves no process.

Not covered: calls from several threads at once.
"""

import dataclasses
import os
import selectors
import subprocess  # nosec B404
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence

from sandbox.outcome import DIED, Job, Limits, Outcome, judge
from sandbox.wire import read_message, write_message

_ZYGOTE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "zygote.py")
# No site packages (-s -S), no directory of the script or caller on the path (-P), no .pyc files (-B). Not -I:
# it would ignore PYTHONHASHSEED, and the order of a set would differ from zygote to zygote.
_PYTHON_OPTIONS = ("-s", "-S", "-P", "-B", "-W", "ignore", "-X", "utf8")
# What a zygote may take beyond the job's own limit before it counts as dead.
_GRACE_SECONDS = 10.0


class Sandbox:
    """Runs programs against tests, each in a process of its own, `workers` at a time.

        with Sandbox(workers=2) as sandbox:
            outcomes = sandbox.run([Job(program, tests, "f")])

    Programs see the standard library only, an empty environment, an empty working directory that they cannot
    write to, no stdin, and the same hash and random seeds each time. The tests of a job share one process, as
    the lines of a file would. Raises ValueError for workers < 1, RuntimeError when a zygote cannot be started
    (its stderr is ours).
    """

    def __init__(self, workers: int = 2, limits: Limits | None = None) -> None:
        if workers < 1:
            raise ValueError(f"Sandbox: workers must be at least 1, not {workers}")
        if not sys.platform.startswith("linux"):
            raise RuntimeError(f"the sandbox needs Linux, not {sys.platform}")
        self.limits = limits or Limits()
        self._directory = tempfile.TemporaryDirectory(prefix="sandbox-")
        # Programs may run as another user, so all may read it; nobody may write to it.
        os.chmod(self._directory.name, 0o555)  # nosec B103
        self._slots = [_Slot(self._directory.name) for _ in range(workers)]
        self._closed = False
        try:
            for slot in self._slots:
                slot.start()
            for slot in self._slots:
                slot.greet()
        except BaseException:
            self.close()
            raise

    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run all jobs; outcomes in the same order. Identical jobs are run once and share an outcome."""
        if self._closed:
            raise RuntimeError("Sandbox.run after close()")
        queue = deque(dict.fromkeys(jobs))
        outcomes: dict[Job, Outcome] = {}
        try:
            while len(outcomes) < len(set(jobs)):
                for slot in self._slots:
                    if queue and slot.job is None:
                        slot.submit(queue.popleft(), self.limits)
                for slot in self._ready():
                    job = slot.job
                    outcomes[job] = judge(job, slot.collect())
        finally:
            for slot in self._slots:
                # After an exception (Ctrl-C): the answer would come to the next run.
                if slot.job is not None:
                    slot.stop()
        return [outcomes[job] for job in jobs]

    def _ready(self) -> list["_Slot"]:
        """Wait for busy slots; those that have answered, have died, or are overdue."""
        busy = [slot for slot in self._slots if slot.job is not None]
        with selectors.DefaultSelector() as selector:
            for slot in busy:
                selector.register(slot.process.stdout, selectors.EVENT_READ, slot)
            until = min(slot.deadline for slot in busy)
            events = selector.select(max(0.0, until - time.monotonic()))
        ready = [key.data for key, _ in events]
        overdue = [slot for slot in busy if slot not in ready and slot.deadline <= time.monotonic()]
        for slot in overdue:
            slot.process.kill()  # collect() then finds it dead
        return ready + overdue

    def close(self) -> None:
        """End all zygotes and remove the working directory. May be called twice."""
        self._closed = True
        for slot in self._slots:
            slot.stop()
        self._directory.cleanup()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Slot:
    """One zygote and the job it is at, if any."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.process: subprocess.Popen | None = None
        self.job: Job | None = None
        self.deadline = 0.0  # on time.monotonic

    def start(self) -> None:
        environment = {"PYTHONHASHSEED": "0"}
        if "LD_LIBRARY_PATH" in os.environ:  # some builds of Python do not start without it
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        # A fixed command, this project's own script, no shell.
        self.process = subprocess.Popen(  # nosec B603
            [sys.executable, *_PYTHON_OPTIONS, _ZYGOTE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            cwd=self.directory,
            env=environment,
            start_new_session=True,  # Ctrl-C at the terminal is the caller's affair
        )

    def greet(self) -> None:
        """Wait until the zygote is up: one that cannot start is an error, not a row of crashed jobs."""
        if read_message(self.process.stdout.fileno()) is None:
            raise RuntimeError(f"the sandbox's zygote did not start (exit status {self.process.wait()})")

    def submit(self, job: Job, limits: Limits) -> None:
        if self.process is None or self.process.poll() is not None:
            self.stop()
            self.start()
            self.greet()
        self.job = job
        self.deadline = time.monotonic() + limits.wall_seconds + _GRACE_SECONDS
        message = {"job": dataclasses.asdict(job), "limits": dataclasses.asdict(limits)}
        try:
            write_message(self.process.stdin.fileno(), message)
        except BrokenPipeError:
            self.process.kill()  # collect() then finds it dead

    def collect(self) -> dict:
        """The report of the job at hand; DIED when the zygote is gone."""
        report = read_message(self.process.stdout.fileno())
        self.job = None
        if report is None:
            self.stop()
            return DIED
        return report

    def stop(self) -> None:
        """End the zygote, busy or not: it notices the closed pipe, kills its child and leaves."""
        self.job = None
        if self.process is None:
            return
        self.process.stdin.close()
        try:
            self.process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process = None
