"""EvalPlus's own verdicts on some samples, in a process that holds nothing but EvalPlus: bench_agreement.py starts it.

On stdin one JSON object: {"tasks": {task_id: [program, ...]}}. On stdout a JSON object a line, one for each program, in
that order: {"task_id", "base": "pass" | "fail" | "timeout", "plus": likewise, "base_done", "plus_done"}; the last two
say on how many inputs the program was run, as it is not run on any after the first that fails. A first line
{"version"} says which EvalPlus.

The environment variable MBPP_OVERRIDE_PATH names the data file, as EvalPlus wants it. Expected outputs are computed by
its own function, task by task, and not kept: those of one task alone take 1.3 GB. It runs programs with little
isolation: not for programs that one does not know.
"""

import json
import os
import sys
from importlib.metadata import version


def main() -> None:
    tasks = json.load(sys.stdin)["tasks"]
    # What EvalPlus and the programs print must not come between our lines.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    from evalplus.data import get_mbpp_plus

    problems = get_mbpp_plus()
    print(json.dumps({"version": version("evalplus")}), file=answers)
    for task_id, programs in tasks.items():
        for verdict in judge(problems[task_id], programs):
            print(json.dumps({"task_id": task_id} | verdict), file=answers)


def judge(problem: dict, programs: list[str]) -> list[dict]:
    """Verdicts on the programs for one task, with the limits and the comparison that EvalPlus's command line uses."""
    from evalplus.eval import untrusted_check
    from evalplus.eval._special_oracle import MBPP_OUTPUT_NOT_NONE_TASKS
    from evalplus.gen.util import trusted_exec

    name, found = problem["entry_point"], [{} for _ in programs]
    for part in ("base", "plus"):
        inputs = problem[f"{part}_input"]
        expected, seconds = trusted_exec(
            problem["prompt"] + problem["canonical_solution"],
            inputs,
            name,
            record_time=True,
            output_not_none=name in MBPP_OUTPUT_NOT_NONE_TASKS,
        )
        for verdict, program in zip(found, programs, strict=True):
            status, details = untrusted_check(
                "mbpp", program, inputs, name, expected, problem["atol"], seconds, fast_check=True
            )
            verdict |= {part: status, f"{part}_done": len(details)}
    return found


if __name__ == "__main__":
    main()
