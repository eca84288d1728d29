"""The trainer's side: slots, each a judge process with its zygote. One thread feeds them from one queue.

Covered: the trainer never forks itself (subprocess starts the judges, with a clean environment), so it may hold threads
and CUDA. Results come in order. Submissions run in the background. A slot that dies or hangs is replaced, and its task
tried again. Every wait has a deadline. When the trainer dies, the kernel ends all processes of all slots.
Not covered: a stopped trainer (SIGSTOP): its slots finish their tasks and wait. A trainer that is process 1 (of a
container): the zygote of a killed judge stays as a zombie.
"""

import contextlib
import dataclasses
import json
import os
import queue
import selectors
import signal
import socket
import subprocess  # nosec B404
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator, Sequence

from sandbox.confine import layers
from sandbox.outcome import Limits, Outcome, Stage, Task, Verdict, limits_of, lost
from sandbox.start import command
from sandbox.wire import Frames, pack

# Tries of a task on slots that die. No program can end its slot (except by JudgeTimeout, which is final). With 200
# random kills in 5,000 programs, two tries lost about three tasks, five none.
_TRIES = 5
_STARTS = 5  # failed starts in a row that are an error
_START_SECONDS = 30.0
_GRACE_SECONDS = 10.0
_TASKS_AHEAD = 2  # a slot has its next task before it ends the current one, so that it does not wait for us


class WeakSandbox(RuntimeError):
    """The layers that work on this machine are below the minimum."""


class Sandbox:
    """Runs programs against tests, `slots` at a time, each in a process of its own (example: sandbox/__init__.py).

    Programs see only the standard library, an empty environment, no writable file, no network, and fixed hash and
    random seeds. Several threads may use one Sandbox.

    allow_weak  go on when the layers that work here are below the minimum (layers.missing_minimum)
    without     layers to leave out, by name or "namespaces" (benchmarks; tests of the fall-back)

    Raises ValueError for slots < 1 or unknown layers, RuntimeError when slots cannot be started, WeakSandbox (a
    RuntimeError) below the minimum.
    """

    def __init__(
        self, slots: int = 2, limits: Limits | None = None, *, allow_weak: bool = False, without: Sequence[str] = ()
    ) -> None:
        if slots < 1:
            raise ValueError(f"Sandbox: slots must be at least 1, not {slots}")
        layers.left_out(frozenset(without))  # refuses unknown names
        self.limits = limits or Limits()
        settings = {"limits": dataclasses.asdict(self.limits), "without": list(without)}
        self._keeper = _Keeper(self.limits, [settings | {"core": core} for core in _cores(slots)])
        self._close = weakref.finalize(self, self._keeper.close)
        self._keeper.start()
        try:
            status = self._keeper.up.get()
            if isinstance(status, BaseException):
                raise status
            self.layers: dict[str, str] = status
            missing = layers.missing_minimum(self.layers)
            if missing and not allow_weak:
                raise WeakSandbox(
                    f"the sandbox is too weak here to run unknown programs: no {', '.join(missing)} "
                    "(see `python -m sandbox doctor`)"
                )
        except BaseException:
            self.close()
            raise

    def run(self, tasks: Sequence[Task]) -> list[Outcome]:
        """All outcomes, in the order of the tasks. Equal tasks run once and share an outcome."""
        with self.submit(tasks) as submission:
            return submission.outcomes()

    def stream(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Outcome]]:
        """(index of the task, outcome), each as soon as it is finished."""
        with self.submit(tasks) as submission:
            yield from submission

    def submit(self, tasks: Sequence[Task]) -> "Submission":
        """Start the tasks and return at once. Raises ValueError for cpu_seconds that exceed the range of Limits."""
        for task in tasks:
            limits_of(task, self.limits)
        return self._keeper.submit(Submission(tasks))

    def close(self) -> None:
        """End all processes. May be called twice. A caller that waits for unfinished tasks gets a RuntimeError."""
        self._close()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Submission:
    """Submitted tasks. Iterate once for (index, outcome) as they finish, or call `outcomes()`."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.indices: dict[Task, list[int]] = {}
        for index, task in enumerate(tasks):
            self.indices.setdefault(task, []).append(index)
        self.count, self.cancelled = len(tasks), False
        self.wake = lambda: None  # set by the keeper
        self.finished: queue.SimpleQueue = queue.SimpleQueue()  # (index, outcome), or an exception

    def __iter__(self) -> Iterator[tuple[int, Outcome]]:
        while self.count:
            item = self.finished.get()
            if isinstance(item, BaseException):
                raise item
            self.count -= 1
            yield item

    def outcomes(self) -> list[Outcome]:
        """All outcomes, in the order of the tasks."""
        found = dict(self)
        return [found[index] for index in sorted(found)]

    def cancel(self) -> None:
        """Start no more of its tasks, and end those that run."""
        self.cancelled = True
        self.wake()

    def __enter__(self) -> "Submission":
        return self

    def __exit__(self, *exception: object) -> None:
        self.cancel()


@dataclasses.dataclass
class _Entry:
    """One task in the queue."""

    submission: Submission
    task: Task
    tries: int = 0

    def finish(self, outcome: Outcome) -> None:
        for index in self.submission.indices[self.task]:
            self.submission.finished.put((index, outcome))


class _Keeper(threading.Thread):
    """The thread that starts, feeds, watches and replaces the slots.

    It starts the judges itself, because the kernel ends them with the thread that started them.
    """

    def __init__(self, limits: Limits, settings: list[dict]) -> None:
        super().__init__(name="sandbox", daemon=True)
        self.limits, self.lock = limits, threading.Lock()
        self.slots = [_Slot(one) for one in settings]
        self.entries: deque[_Entry] = deque()
        self.submissions: weakref.WeakSet[Submission] = weakref.WeakSet()
        self.closing, self.ended, self.failed_starts = False, False, 0
        self.up: queue.SimpleQueue = queue.SimpleQueue()  # the layers' status once all slots are up, or an exception
        self.wake_reader, self.wake_writer = os.pipe()

    # Called from other threads

    def submit(self, submission: Submission) -> Submission:
        with self.lock:
            if self.ended or self.closing:
                raise RuntimeError("the Sandbox is closed")
            self.submissions.add(submission)
            submission.wake = self._wake
            self.entries.extend(_Entry(submission, task) for task in submission.indices)
        self._wake()
        return submission

    def close(self) -> None:
        self.closing = True
        self._wake()
        if threading.current_thread() is not self:
            self.join()

    def _wake(self) -> None:
        with self.lock:
            if not self.ended:
                os.write(self.wake_writer, b"!")

    # The thread

    def run(self) -> None:
        reason: BaseException = RuntimeError("the Sandbox is closed")
        try:
            self._serve()
        except Exception as error:  # raised in the threads that wait
            reason = error
        finally:
            self._end(reason)

    def _serve(self) -> None:
        for slot in self.slots:
            slot.start()
        is_up = False
        while not self.closing:
            self._replace()
            self._feed()
            for slot in self._ready():
                self._hear(slot)
            if not is_up and all(slot.status is not None for slot in self.slots):
                is_up = True
                self.up.put(self.slots[0].status)

    def _replace(self) -> None:
        """Start dead slots again. Put their tasks back to the front of the queue, or give them up."""
        for slot in self.slots:
            if slot.entries and slot.entries[0].submission.cancelled:
                slot.process.kill()
                slot.end()
            if slot.process is not None:
                continue
            if slot.status is None:
                self.failed_starts += 1
                if self.failed_starts >= _STARTS:
                    reason = slot.failure or f"its judge ended with status {slot.exit_code}"
                    raise RuntimeError(f"the sandbox does not start: {reason}")
            waiting = list(slot.entries)
            slot.entries.clear()
            if waiting:
                waiting[0].tries += 1  # the others had not begun
                task = waiting[0].task
                if slot.exit_code == -signal.SIGPROF:
                    waiting.pop(0).finish(lost(task, "JudgeTimeout", "judge"))
                elif waiting[0].tries == _TRIES:
                    waiting.pop(0).finish(lost(task, "SlotLost"))
            self.entries.extendleft(reversed(waiting))
            slot.start()

    def _feed(self) -> None:
        for ahead in range(_TASKS_AHEAD):
            if ahead and len(self.entries) < len(self.slots):
                return  # near the end of the queue: the first free slot gets the task
            for slot in self.slots:
                if slot.status is not None and len(slot.entries) == ahead and (entry := self._next_entry()):
                    slot.give(entry, self._deadline(entry.task))

    def _next_entry(self) -> _Entry | None:
        with self.lock:
            while self.entries:
                entry = self.entries.popleft()
                if not entry.submission.cancelled:
                    return entry
        return None

    def _deadline(self, task: Task) -> float:
        """Seconds after which a slot is stuck. Long, because its own limits must act first."""
        limits = limits_of(task, self.limits)
        return 2 * (limits.program_wall_seconds + task.total * limits.judge_cpu_seconds) + _GRACE_SECONDS

    def _ready(self) -> list["_Slot"]:
        """Wait; kill slots that are overdue. Returns the slots that have sent something or have ended."""
        with selectors.PollSelector() as selector:
            selector.register(self.wake_reader, selectors.EVENT_READ)
            for slot in self.slots:
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if slot.outbox else 0)
                selector.register(slot.channel, events, slot)
            until = min(slot.deadline for slot in self.slots)
            events = selector.select(None if until == float("inf") else max(0.0, until - time.monotonic()))
        for slot in self.slots:
            if slot.deadline <= time.monotonic():
                slot.process.kill()  # the next wait reports its end
        if any(key.data is None for key, _ in events):
            os.read(self.wake_reader, 1 << 16)
        return [key.data for key, _ in events if key.data is not None]

    def _hear(self, slot: "_Slot") -> None:
        try:
            messages = slot.exchange()
        except OSError:  # the judge has hung up
            slot.end()
            return
        for message in messages:
            if slot.status is not None:
                slot.entries.popleft().finish(_read_outcome(message))
                seconds = self._deadline(slot.entries[0].task) if slot.entries else float("inf")
                slot.deadline = time.monotonic() + seconds
            elif "failed" in message:
                slot.failure = message["failed"]
                slot.end()
                return
            else:
                slot.status, self.failed_starts = message["layers"], 0
                slot.deadline = float("inf")

    def _end(self, reason: BaseException) -> None:
        for slot in self.slots:
            if slot.process is not None:
                slot.channel.close()  # the judge then ends, unless it is busy, and its zygote with it
        for slot in self.slots:
            slot.end()
        with self.lock:
            self.ended = True
            os.close(self.wake_reader)
            os.close(self.wake_writer)
        self.up.put(reason)
        for submission in list(self.submissions):
            submission.finished.put(reason)


class _Slot:
    """One judge process, the tasks that it has, and the socket to it."""

    def __init__(self, settings: dict) -> None:
        self.settings = settings
        self.process: subprocess.Popen | None = None
        self.entries: deque[_Entry] = deque()
        self.status: dict[str, str] | None = None  # of its layers, once it is up
        self.exit_code: int | None = None
        self.failure: str | None = None  # the judge's reason why it could not start
        self.deadline = float("inf")  # on time.monotonic

    def start(self) -> None:
        environment = {"PYTHONHASHSEED": "0"}
        if "LD_LIBRARY_PATH" in os.environ:  # some builds of Python do not start without it
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        self.channel, theirs = socket.socketpair()
        self.process = subprocess.Popen(  # our own script, no shell  # nosec B603
            command("judge"),
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            cwd="/",
            env=environment,
            start_new_session=True,  # so that only the trainer gets Ctrl-C
        )
        theirs.close()
        self.channel.setblocking(False)
        self.frames, self.outbox = Frames(), bytearray(pack(self.settings))
        self.status, self.exit_code, self.failure = None, None, None
        self.deadline = time.monotonic() + _START_SECONDS

    def give(self, entry: _Entry, seconds: float) -> None:
        if not self.entries:
            self.deadline = time.monotonic() + seconds
        self.entries.append(entry)
        self.outbox += pack(dataclasses.asdict(entry.task))

    def exchange(self) -> list:
        """Send and receive what is possible now. Returns the messages. Raises OSError when the judge has hung up."""
        with contextlib.suppress(BlockingIOError):
            while self.outbox:
                del self.outbox[: self.channel.send(self.outbox)]
        try:
            part = self.channel.recv(1 << 18)
        except BlockingIOError:
            return []
        if not part:
            raise ConnectionResetError
        self.frames.feed(part)
        return [json.loads(body) for body in iter(self.frames.next, None)]

    def end(self) -> None:
        """End the judge and reap it."""
        if self.process is None:
            return
        self.channel.close()
        try:
            self.exit_code = self.process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.exit_code = self.process.wait()
        self.process = None


def _cores(slots: int) -> list[int | None]:
    """A core for each slot: its processes take turns, and waking one on another core takes longer.

    The first core depends on the trainer, so that two trainers use different ones.
    """
    if not hasattr(os, "sched_getaffinity"):
        return [None] * slots
    cores = sorted(os.sched_getaffinity(0))
    return [cores[(os.getpid() + index) % len(cores)] for index in range(slots)]


def _read_outcome(fields: dict) -> Outcome:
    """An Outcome from its JSON form, in which tuples are lists."""
    for record in (fields, *fields["tests"]):
        if record["lines"] is not None:
            record["lines"] = tuple(record["lines"])
    tests = tuple(Verdict(**test) for test in fields["tests"])
    return Outcome(**fields | {"stage": Stage[fields["stage"]], "tests": tests})
