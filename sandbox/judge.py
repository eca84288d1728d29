"""The judge of a slot: holds tests and expected values, runs the test code, compares. Never runs the program.

    trainer (pool.py)  --tasks-->  judge  --C, K-->  zygote (zygote.py)  --fork-->  child (child.py)
                       <-outcomes-         <-status-
                                   judge  <--calls and replies (remote.py)-->  child

Started by the trainer as a process of its own. Test code runs here, unchanged, with the entry point bound to a
stand-in (remote.py) that asks the child; what comes back is rebuilt from exact built-in types (wire.py) and
compared here, with this process's own `==`, `math` and `set`.

Covered: the program can neither see a test or an expected value nor touch the code that compares; every wait for it
has a deadline; test code that runs too long on what a program returned (colliding sets, huge numbers) ends this
process by the kernel's timer, and the task with it; a test during which the child died, hung or cheated fails,
whatever the test code does with the exception.
Not covered: tests that say little (`assert f(x)`), tests whose answer can be written down without solving the task,
and test code itself: it is trusted. Arguments travel as copies: a test that looks at a list it handed over, in order
to see it changed, sees it unchanged.
"""

import ast
import builtins
import contextlib
import ctypes
import functools
import importlib
import json
import math
import os
import reprlib
import resource
import signal
import socket
import subprocess  # nosec B404
import sys
import tempfile
import time

from sandbox import wire
from sandbox.outcome import Case, Limits, Outcome, Stage, Task, Verdict
from sandbox.remote import Gone, Link
from sandbox.zygote import REPORT

# No site packages (-s -S), no directory of a script or caller on the path (-P), no .pyc files (-B). Not -I: it
# would ignore PYTHONHASHSEED, and the order of a set would differ from zygote to zygote.
PYTHON_OPTIONS = ("-s", "-S", "-P", "-B", "-W", "ignore", "-X", "utf8")
START = os.path.join(os.path.dirname(os.path.abspath(__file__)), "start.py")

_MEMORY_BYTES = 2 << 30  # of this process: `[0] * f(x)` in a test is an error, not the end of the machine
_ZYGOTE_SECONDS = 10.0
_OUTPUT_KEPT = 2000
_ADDR_NO_RANDOMIZE = 0x0040000
_BUILTIN_NAMES = frozenset(vars(builtins))
# Modules that tests use though only the program imports them: they get the judge's own, never the program's.
_MODULES = frozenset("cmath collections copy datetime functools itertools json math operator re string sys".split())


def main() -> None:
    """Serve the trainer on descriptor 0: first the settings, then tasks; answers in the same order."""
    with contextlib.suppress(BrokenPipeError):  # the trainer has closed, or is gone
        _main()


def _main() -> None:
    channel, _ = os.dup(0), os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)  # what test code prints
    sys.setrecursionlimit(5000)  # reading replies recurses; the program's own limit is lower
    _protect()
    settings = wire.read_frame(channel)
    if settings is None:
        return
    if settings["core"] is not None:
        os.sched_setaffinity(0, {settings["core"]})  # the zygote and all children inherit it
    limits = Limits(**settings["limits"])
    try:
        zygote = Zygote(settings)
        _test_ourselves(limits, zygote)
    except SlotBroken as error:
        wire.write_frame(channel, {"failed": str(error)})
        return
    wire.write_frame(channel, {"layers": zygote.status})
    try:
        _serve(channel, limits, zygote)
    except SlotBroken:
        sys.exit(1)  # the trainer starts another slot


def _serve(channel: int, limits: Limits, zygote: "Zygote") -> None:
    while (fields := wire.read_frame(channel)) is not None:
        task = Task(**fields | {"tests": tuple(fields["tests"]), "cases": tuple(Case(*c) for c in fields["cases"])})
        outcome = judge_task(task, limits, zygote)
        wire.write_frame(channel, outcome.to_dict())
    zygote.end()


def _test_ourselves(limits: Limits, zygote: "Zygote") -> None:
    """A sandbox in which nothing can pass is an error, not a row of failed programs."""
    outcome = judge_task(Task("def f(x):\n    return x + 1\n", ("assert f(1) == 2",), "f"), limits, zygote)
    if outcome.stage != Stage.PASSED:
        raise SlotBroken(f"a correct program fails (limits too low?): {outcome.error_type} {outcome.output}".strip())


def _protect() -> None:
    """Die with the trainer; give away nothing to a debugger of the same user; bound our own memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        library.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        library.prctl(4, 0)  # PR_SET_DUMPABLE


class SlotBroken(Exception):
    """The zygote is gone, or does not do what it should: the end of this slot."""


class Zygote:
    """The zygote that this judge has started, and what to say to it."""

    def __init__(self, settings: dict) -> None:
        ours, theirs = socket.socketpair()
        if sys.platform == "linux":
            # Fixed addresses, for the zygote's exec: the order of a set of objects depends on them.
            ctypes.CDLL(None).personality(_ADDR_NO_RANDOMIZE)
        arguments = [sys.executable, *PYTHON_OPTIONS, START, "zygote", json.dumps(settings)]
        # A fixed command, this project's own script, no shell.
        self.process = subprocess.Popen(arguments, stdin=theirs, stdout=subprocess.DEVNULL)  # nosec B603
        theirs.close()
        self.control = ours
        self.control.settimeout(30.0)
        self.status: dict[str, str] = json.loads(self._hear())
        self.control.settimeout(_ZYGOTE_SECONDS)

    def _hear(self) -> bytes:
        """One message. Raises SlotBroken when the zygote is gone or stuck."""
        try:
            message = self.control.recv(1 << 16)
        except OSError as error:
            raise SlotBroken(f"the zygote does not answer: {error}") from None
        if not message:
            raise SlotBroken("the zygote has ended")
        return message

    def end(self) -> None:
        """Hang up, and wait: who reaps it if not we?"""
        self.control.close()
        self.process.wait()

    def start_child(self, descriptors: list[int], line_count: int) -> None:
        command = b"C" + (str(line_count).encode() if line_count else b"")
        try:
            socket.send_fds(self.control, [command], descriptors)
        except OSError as error:
            raise SlotBroken(f"the zygote has ended: {error}") from None

    def end_child(self, has_hung_up: bool) -> tuple[int, float, int]:
        """Kill and reap. Returns (exit code or -signal, CPU seconds, peak bytes)."""
        try:
            self.control.sendall(b"W" if has_hung_up else b"K")
        except OSError as error:
            raise SlotBroken(f"the zygote has ended: {error}") from None
        status, cpu_seconds, peak_bytes = REPORT.unpack(self._hear())
        return os.waitstatus_to_exitcode(status), cpu_seconds, peak_bytes


# One task -----------------------------------------------------------------------------------------------------


class Record:
    """What is known of the task at hand; becomes the Outcome."""

    def __init__(self, task: Task, limits: Limits, zygote: Zygote) -> None:
        self.task, self.limits, self.zygote = task, limits, zygote
        self.began = time.monotonic()
        self.parsed = self.ran = self.value = False
        self.failure: Verdict | None = None  # why no test could be run at all
        self.verdicts: list[Verdict] = []
        self.timeout = self.signal = self.exit_code = self.tamper = None
        self.cpu_seconds, self.peak_bytes = 0.0, 0
        self.output, self.output_bytes = "", 0
        self.lines: set[int] = set()
        self.line_count = task.program.count("\n") + task.program.count("\r") + 1 if task.want_lines else 0

    def budget(self) -> tuple[float, float]:
        """(CPU seconds, elapsed seconds) left for all that is still to come."""
        elapsed = time.monotonic() - self.began
        return self.limits.program_cpu_seconds - self.cpu_seconds, self.limits.program_wall_seconds - elapsed

    def exhausted(self) -> bool:
        return min(self.budget()) <= 0 or self.tamper is not None


def judge_task(task: Task, limits: Limits, zygote: Zygote) -> Outcome:
    """Run one task to its end."""
    record = Record(task, limits, zygote)
    if task.cases:
        _judge_cases(record)
    else:
        _judge_calls(record)
    return _outcome(record)


def _outcome(record: Record) -> Outcome:
    task = record.task
    verdicts = record.verdicts + [Verdict("not run")] * (task.total - len(record.verdicts))
    if record.tamper:
        verdicts = [Verdict("void")] * task.total
    passed = sum(verdict.word == "passed" for verdict in verdicts)
    if not record.parsed:
        stage = Stage.SYNTAX_ERROR
    elif not record.ran:
        stage = Stage.PARSES
    elif passed:
        stage = Stage.PASSED if passed == task.total else Stage.PARTIAL
    else:
        stage = Stage.OUTPUT if record.value and not record.tamper else Stage.RUNS
    failed = record.failure or next((v for v in verdicts if v.word != "passed"), Verdict("passed"))
    return Outcome(
        stage=stage,
        passed=passed,
        total=task.total,
        error_type="Tampering" if record.tamper else failed.error_type,
        line=failed.line,
        column=failed.column,
        tests=tuple(verdicts),
        timeout=record.timeout,
        out_of_memory=any(v.error_type == "MemoryError" for v in [failed, *verdicts]),
        signal=record.signal,
        exit_code=record.exit_code,
        tamper=record.tamper,
        output=record.output,
        lines=tuple(sorted(record.lines)) if task.want_lines else None,
        cpu_seconds=record.cpu_seconds,
        seconds=time.monotonic() - record.began,
        peak_bytes=record.peak_bytes,
    )


class Child:
    """One child process: the link to it, its memory files, and what is left when it has ended."""

    def __init__(self, record: Record, stdin: str | None) -> None:
        self.record = record
        self.link, theirs = Link.pair(record.limits, record.budget())
        self.out = _memory_file()
        # Calls: one file for both, so that lines stand in order. Cases: what is compared is stdout alone.
        self.err = _memory_file() if stdin is not None else self.out
        self.marks = _memory_file() if record.line_count else None
        stdin_fd = _memory_file(stdin) if stdin is not None else 0
        descriptors = [theirs.fileno(), stdin_fd, self.out, self.err]
        if self.marks is not None:
            os.ftruncate(self.marks, record.line_count + 1)
            descriptors.append(self.marks)
        record.zygote.start_child(descriptors, record.line_count)
        theirs.close()
        if stdin is not None:
            os.close(stdin_fd)
        self.is_script = stdin is not None

    def hear_start(self) -> None:
        """Hand over the program and wait for the compiler's word. Raises Gone when the child ends first."""
        self.link.send([self.record.task.program, self.is_script])
        self.link.hear_hello()
        message = self.link.hear()
        if message[0] == "syntax":
            self.record.failure = _failure(message)
            raise Gone("failed")
        self.record.parsed = True

    def take_lines(self) -> tuple[int, ...] | None:
        """Lines marked since the last call; None when nobody asked."""
        if self.marks is None:
            return None
        marks = os.pread(self.marks, self.record.line_count + 1, 0)
        os.pwrite(self.marks, bytes(len(marks)), 0)
        lines = tuple(number for number, mark in enumerate(marks) if mark)
        self.record.lines.update(lines)
        return lines

    def end(self) -> tuple[int, str]:
        """End it, add up what it cost, read what it printed. Returns (exit code or -signal, stdout)."""
        status, cpu_seconds, peak_bytes = self.record.zygote.end_child(has_hung_up=self.link.ended == "crash")
        self.record.cpu_seconds += cpu_seconds
        self.record.peak_bytes = max(self.record.peak_bytes, peak_bytes)
        self.record.timeout = self.record.timeout or self.link.timeout
        self.record.tamper = self.record.tamper or self.link.tamper
        if status == -signal.SIGSYS:
            self.record.tamper = self.record.tamper or "a system call of a foreign kind (SIGSYS)"
        if self.link.ended == "crash":
            self._note_status(status)
        self.take_lines()
        self.link.close()
        return status, self._read_output()

    def _note_status(self, status: int) -> None:
        if not self.record.signal and not self.record.exit_code:
            if status < 0:
                self.record.signal = signal.Signals(-status).name
            else:
                self.record.exit_code = status

    def _read_output(self) -> str:
        self.record.output_bytes = os.fstat(self.out).st_size
        size = self.record.limits.output_bytes if self.is_script else _OUTPUT_KEPT
        printed = os.pread(self.out, size, 0).decode("utf-8", "replace")
        for descriptor in {self.out, self.err, self.marks} - {None}:
            os.close(descriptor)
        return printed


def _memory_file(text: str = "") -> int:
    """A new file without a name, to be read from its beginning. Returns its descriptor."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("sandbox")
    else:
        descriptor, name = tempfile.mkstemp()
        os.unlink(name)
    data = memoryview(text.encode("utf-8", "surrogatepass"))
    while data:
        data = data[os.write(descriptor, data) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _failure(message: list) -> Verdict:
    """A Verdict from [word, type name, line, column, ...] as the child tells it."""
    match message:
        case [_, str(error_type), (int() | None) as line, (int() | None) as column, *_]:
            return Verdict("error", error_type[:80], line=line, column=column)
    return Verdict("error", "Exception")  # the program's own idea of such a message


# Tests that call the program ----------------------------------------------------------------------------------


def _judge_calls(record: Record) -> None:
    """Run the tests one by one. One that ends the child costs that test; a new child goes on with the next."""
    task = record.task
    sources = task.tests or (f"{task.check}\n\ncheck({task.entry_point})\n",)
    while len(record.verdicts) < len(sources) and not record.exhausted() and record.failure is None:
        child = Child(record, None)
        try:
            namespace = _start_calls(record, child, sources)
            while len(record.verdicts) < len(sources) and not record.exhausted():
                record.verdicts.append(_run_test(sources[len(record.verdicts)], namespace, child))
                if child.link.ended:
                    break
        except Gone:
            # The child ended before the first test of this start.
            _note_early_end(record, child)
        finally:
            _, printed = child.end()
            record.output = (record.output + printed)[:_OUTPUT_KEPT]


def _start_calls(record: Record, child: Child, sources: tuple[str, ...]) -> dict:
    """From the compiler's word to the namespace of the tests. Raises Gone when the child ends on the way."""
    task, link = record.task, child.link
    child.hear_start()
    modules, names = _names_of(task.entry_point, task.setup, *sources)
    link.begin_test()
    found = link.ask_for(names)
    if found[:1] == ["failed"]:
        record.failure = _failure(found)
        raise Gone("failed")
    record.ran = True
    remotes = dict(zip(names, found, strict=True))
    entry_point = remotes.get(task.entry_point)
    if task.entry_point and entry_point is None:
        record.failure = Verdict("error", "EntryPointMissing")
        raise Gone("failed")
    namespace = {"__name__": "tests", "__builtins__": builtins}
    namespace |= {name: importlib.import_module(name) for name in modules}
    namespace |= {name: remote for name, remote in remotes.items() if remote is not None}
    failed = _attempt(task.setup, "<setup>", namespace, child)
    if failed and not link.ended:
        record.failure = failed
        raise Gone("failed")
    if link.ended:
        raise Gone(link.ended)
    if entry_point is not None:
        namespace[task.entry_point] = entry_point
    return namespace


def _note_early_end(record: Record, child: Child) -> None:
    """What an end before the first test means: at the first start for all tests, later for the next test only."""
    word = child.link.ended
    if record.failure is not None and record.verdicts:
        record.verdicts.append(record.failure)  # a body that does not do the same twice
        record.failure = None
    elif record.failure is None and word in ("timeout", "crash"):
        verdict = Verdict(word, word.capitalize())
        if record.verdicts or record.ran:
            record.verdicts.append(verdict)
        else:
            record.failure = verdict


def _run_test(source: str, namespace: dict, child: Child) -> Verdict:
    link = child.link
    link.begin_test()
    link.last_value, link.returned_value = None, False
    verdict = _attempt(source, "<test>", namespace, child) or Verdict("passed")
    child.record.value = child.record.value or link.returned_value
    if link.ended in ("timeout", "crash"):
        verdict = Verdict(link.ended, link.ended.capitalize())
    lines = child.take_lines()
    return verdict if lines is None else Verdict(**vars(verdict) | {"lines": lines})


def _attempt(source: str, filename: str, namespace: dict, child: Child) -> Verdict | None:
    """Run a piece of test code; None when it came to its end."""
    link = child.link
    try:
        code = _compiled(source, filename)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Verdict("error", "InvalidTest")
    try:
        # Test code is trusted; the program's code never comes here.
        exec(code, namespace)  # nosec B102
    except AssertionError:  # the test's own: a stand-in never raises it
        return Verdict("wrong", "AssertionError", value=_short(link.last_value))
    except BaseException as error:  # whatever test code raises (also Gone, exit()) is the end of this test only
        line, column = link.place_of(error)
        return Verdict("error", link.name_of(error), line=line, column=column)
    return None


@functools.lru_cache(maxsize=4096)  # a problem's tests are run for every sample of its group
def _compiled(source: str, filename: str):
    return compile(source, filename, "exec", dont_inherit=True)


@functools.lru_cache(maxsize=1024)
def _names_of(entry_point: str, *sources: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names that test code reads and nowhere makes: modules, and those that the program may have to provide.

    A name that any test makes is never the program's: it would become so when the test that makes it is cut short.
    """
    read: set[str] = set()
    made = {entry_point, *_BUILTIN_NAMES}
    for source in sources:
        try:
            nodes = list(ast.walk(ast.parse(source)))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # reported when it is run
        read.update(node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
        made.update(name for node in nodes for name in _made_by(node))
    asked = read - made - _MODULES | ({entry_point} - {""})
    return tuple(sorted((read - made) & _MODULES)), tuple(sorted(asked))


def _made_by(node: ast.AST) -> list[str]:
    """Names that one node of test code gives a meaning to."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.arg(arg=name):
            return [name]
        case ast.alias(name=name, asname=new):
            return [new or name.partition(".")[0]]
        case ast.ExceptHandler(name=str(name)):
            return [name]
    return []


_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 60


def _short(value: object) -> str:
    """A short repr. Only values that the decoder built come here, so no code of the program runs."""
    try:
        return _repr.repr(value)[:200]
    except (ValueError, RecursionError, MemoryError):  # a number with too many digits, too deep a list
        return f"<{type(value).__name__}>"


# Tests that run the whole program on stdin --------------------------------------------------------------------


def _judge_cases(record: Record) -> None:
    for case in record.task.cases:
        if record.exhausted() or record.failure is not None:
            return
        verdict = _run_case(record, case)
        if verdict is not None:
            record.verdicts.append(verdict)


def _run_case(record: Record, case: Case) -> Verdict | None:
    """One child for one case; None when the program does not compile."""
    child = Child(record, case.stdin)
    failed = None
    try:
        child.hear_start()
        child.link.begin_test()
        failed = _failure(child.link.hear())  # a word only if the body raised; else this is the end already
        child.link.hear_end()
    except Gone:
        pass  # the expected end: what it means is settled by the status below
    lines = child.take_lines()
    status, printed = child.end()
    if record.failure is not None or not record.parsed:
        record.failure = record.failure or Verdict(child.link.ended, child.link.ended.capitalize())
        return None
    verdict = _verdict_of_case(record, child, case, status, printed, failed)
    if status == 0 and not child.link.timeout:
        record.ran = True
        record.value = record.value or bool(printed.strip())
    if verdict.word != "passed" and not record.output:
        record.output = printed[:_OUTPUT_KEPT]
    return verdict if lines is None else Verdict(**vars(verdict) | {"lines": lines})


def _verdict_of_case(
    record: Record, child: Child, case: Case, status: int, printed: str, failed: Verdict | None
) -> Verdict:
    if child.link.timeout:
        return Verdict("timeout", "Timeout")
    if record.output_bytes >= record.limits.output_bytes:
        return Verdict("error", "OutputTruncated")
    if status != 0:
        return failed or Verdict("crash", "Crash")
    if same_output(printed, case.stdout, record.task.tolerance):
        return Verdict("passed")
    return Verdict("wrong", "AssertionError", value=_short(printed))


def same_output(printed: str, expected: str, tolerance: float = 0.0) -> bool:
    """Whether all words are the same, in order. With a tolerance, numbers may differ by it, absolutely or relatively."""
    words, wanted = printed.split(), expected.split()
    return len(words) == len(wanted) and all(
        word == want or (tolerance > 0 and _close(word, want, tolerance))
        for word, want in zip(words, wanted, strict=True)
    )


def _close(word: str, want: str, tolerance: float) -> bool:
    try:
        return math.isclose(float(word), float(want), rel_tol=tolerance, abs_tol=tolerance)
    except ValueError:
        return False
