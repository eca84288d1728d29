"""Runs programs against tests in forked processes with `exec`, without a sandbox. The oracle for our sandbox.

A script on the standard library alone; it shares no line with sandbox/. On stdin a JSON list of
{"programs", "tests", "setup", "entry_point", "least_seconds"}. The first program is the reference; the others have
max(least_seconds, 4 x its CPU time). On stdout, for each job, a list of records, one a program:
{"verdicts": a word a test, "outputs": what the entry point returned in each call, "seconds": CPU time}.

Words: "passed", "wrong" (an assert failed), "error" (an exception), "hang" (beyond the limit), "crash". The last two
end the list. Never give it what a model writes: there is no protection but resource limits.
"""

import collections  # noqa: F401 - MBPP's references import these; loaded once, before the forks
import datetime  # noqa: F401
import functools  # noqa: F401
import hashlib
import heapq  # noqa: F401
import itertools  # noqa: F401
import json
import math
import os
import re
import resource
import select
import signal
import sys
import time
import warnings

REFERENCE_SECONDS = 60.0


def main() -> None:
    warnings.simplefilter("ignore")  # of "\\d" in a reference
    json.dump([run_job(job) for job in json.load(sys.stdin)], sys.stdout)


def run_job(job: dict) -> list[dict]:
    reference = run_program(job, job["programs"][0], REFERENCE_SECONDS)
    limit = max(job["least_seconds"], 4 * reference["seconds"])
    return [reference] + [run_program(job, program, limit) for program in job["programs"][1:]]


def run_program(job: dict, program: str, cpu_seconds: float) -> dict:
    """Fork, and read what the child writes until it ends: {"verdicts", "outputs", "seconds"}."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            limit_process(cpu_seconds)
            run_tests(job, program, writer)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writer)
    lines, in_time = read_until_end(reader, 5 * cpu_seconds + 5)
    os.close(reader)
    if not in_time:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    verdicts = [line["verdict"] for line in lines]
    if status != 0:
        verdicts.append("hang" if not in_time or os.WTERMSIG(status) == signal.SIGPROF else "crash")
    outputs = [output for line in lines for output in line["outputs"]]
    return {"verdicts": verdicts, "outputs": outputs, "seconds": usage.ru_utime + usage.ru_stime}


def limit_process(cpu_seconds: float) -> None:
    """SIGPROF ends the process after its CPU time. What it prints is dropped."""
    for descriptor in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(cpu_seconds) + 1,) * 2)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)


def run_tests(job: dict, program: str, writer: int) -> None:
    """Run the program, then each test; write a line of JSON after each test. A failing program fails the first test."""
    outputs: list[str] = []
    names: dict = {"__name__": "program"}
    try:
        exec(compile(program, "program", "exec"), names)  # nosec B102
        names = record_outputs(names, job["entry_point"], outputs)
        exec(compile(job["setup"], "setup", "exec"), names)  # nosec B102
    except BaseException as error:
        write_line(writer, "error", [type(error).__name__])
        return
    for test in job["tests"]:
        outputs.clear()
        try:
            exec(compile(test, "test", "exec"), names)  # nosec B102
            verdict = "passed"
        except AssertionError:
            verdict = "wrong"
        except BaseException as error:
            verdict = "error"
            outputs.append(type(error).__name__)
        write_line(writer, verdict, outputs)


def record_outputs(names: dict, entry_point: str, outputs: list[str]) -> dict:
    """A copy of the program's names for the tests; its entry point also appends to `outputs` what it returns.

    The program itself, and so a recursion, keeps the original function. A class stays as it is.
    """
    function = names[entry_point]
    if isinstance(function, type):
        return dict(names)

    def recorded(*arguments, **named):
        result = function(*arguments, **named)
        text = re.sub(r" at 0x[0-9a-f]+", "", repr(result))  # addresses differ between two runs
        outputs.append(text if len(text) < 200 else hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest())
        return result

    return names | {entry_point: recorded}


def write_line(writer: int, verdict: str, outputs: list[str]) -> None:
    data = (json.dumps({"verdict": verdict, "outputs": outputs}) + "\n").encode()
    while data:
        data = data[os.write(writer, data) :]


def read_until_end(reader: int, seconds: float) -> tuple[list[dict], bool]:
    """The whole lines that the child wrote, and whether it ended in time."""
    data, part, deadline = b"", b"none yet", time.monotonic() + seconds
    while part and (left := deadline - time.monotonic()) > 0 and select.select([reader], [], [], left)[0]:
        part = os.read(reader, 1 << 16)
        data += part
    return [json.loads(line) for line in data.split(b"\n")[:-1]], not part


if __name__ == "__main__":
    main()
