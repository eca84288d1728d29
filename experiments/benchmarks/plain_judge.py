"""Runs programs against tests the plainest way there is: a fork, `exec`, no sandbox. An oracle for the judge.

A script of its own, on the standard library alone: it shares no line with sandbox/. Reads a JSON list of jobs
{"programs", "tests", "setup", "entry_point", "least_seconds"} on stdin and writes for each a list of records, one a
program. The first program is the reference: the others have max(least_seconds, 4 x its CPU time).

A record says {"verdicts": a word a test, "outputs": what the entry point returned in each call, "seconds": CPU time}:
"passed", "wrong" (an assert failed), "error" (an exception), "hang" or "crash" (the process was ended, by our limit or
otherwise). After "hang" and "crash" no test follows.

For references and mutants of them only. What a model writes is never run here: resource limits are all there is.
"""

import collections  # noqa: F401 - these are what MBPP's references import: loaded once, before the forks
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
MEMORY_BYTES = 1 << 30
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def main() -> None:
    warnings.simplefilter("ignore")  # "\\d" in a reference is not our affair
    jobs = json.load(sys.stdin)
    json.dump([run_job(job) for job in jobs], sys.stdout)


def run_job(job: dict) -> list[dict]:
    reference = run_program(job, job["programs"][0], REFERENCE_SECONDS)
    limit = max(job["least_seconds"], 4 * reference["seconds"])
    return [reference] + [run_program(job, program, limit) for program in job["programs"][1:]]


def run_program(job: dict, program: str, cpu_seconds: float) -> dict:
    """Forks, and reads what the child writes until it ends: {"verdicts", "outputs", "seconds"}."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        status = 1
        try:
            limit_process(cpu_seconds)
            run_tests(job, program, writer)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    lines, in_time = read_lines(reader, 5 * cpu_seconds + 5)
    os.close(reader)
    if not in_time:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    seconds = usage.ru_utime + usage.ru_stime
    verdicts = [line["verdict"] for line in lines]
    if status != 0:
        verdicts.append("hang" if not in_time or os.WTERMSIG(status) == signal.SIGPROF else "crash")
    return {
        "verdicts": verdicts,
        "outputs": [output for line in lines for output in line["outputs"]],
        "seconds": seconds,
    }


def limit_process(cpu_seconds: float) -> None:
    """SIGPROF ends the process when its CPU time is over; what it prints goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)
    os.dup2(0, 2)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(cpu_seconds) + 1,) * 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)


def run_tests(job: dict, program: str, writer: int) -> None:
    """The program, then each test, with a line of JSON after each test. A program that fails fails the first test."""
    outputs: list[str] = []
    names: dict = {"__name__": "program"}
    try:
        exec(compile(program, "program", "exec"), names)  # nosec B102
        names = watch(names, job["entry_point"], outputs)
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


def watch(names: dict, entry_point: str, outputs: list[str]) -> dict:
    """The program's names for the tests, in which the entry point also writes down what it returns.

    A copy: within the program, and so in a recursion, the function stays as it is. A class is left as it is.
    """
    function = names[entry_point]
    if isinstance(function, type):
        return dict(names)

    def watched(*arguments, **named):
        result = function(*arguments, **named)
        outputs.append(shorten(repr(result)))
        return result

    return names | {entry_point: watched}


def shorten(text: str) -> str:
    """Addresses of objects differ between two runs, and a long value need not travel to be compared."""
    text = ADDRESS.sub("", text)
    return text if len(text) < 200 else hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def write_line(writer: int, verdict: str, outputs: list[str]) -> None:
    data = (json.dumps({"verdict": verdict, "outputs": outputs}) + "\n").encode()
    while data:
        data = data[os.write(writer, data) :]


def read_lines(reader: int, seconds: float) -> tuple[list[dict], bool]:
    """What the child wrote in whole lines until it ended, and whether it ended in time."""
    parts, deadline = [], time.monotonic() + seconds
    in_time = False
    while (left := deadline - time.monotonic()) > 0 and select.select([reader], [], [], left)[0]:
        part = os.read(reader, 1 << 16)
        if not part:
            in_time = True
            break
        parts.append(part)
    return [json.loads(line) for line in b"".join(parts).split(b"\n")[:-1]], in_time


if __name__ == "__main__":
    main()
