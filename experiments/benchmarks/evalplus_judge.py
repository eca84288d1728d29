"""EvalPlus's own verdicts, in a process that holds nothing but EvalPlus. agreement.py starts this script.

On stdin a JSON list of {"task_id", "programs"}. On stdout, for each of these, a list with one verdict a program:
{"base": "pass" | "fail" | "timeout", "plus": likewise, "base_done", "plus_done"}. The last two count the inputs that
the program ran on; EvalPlus stops at the first failure.

EvalPlus's own variable MBPP_OVERRIDE_PATH names the data file. Expected outputs are not kept: those of one task take
1.3 GB. Programs run with little isolation: do not give it unknown programs.
"""

import json
import os
import sys

from evalplus.data import get_mbpp_plus
from evalplus.eval import untrusted_check
from evalplus.eval._special_oracle import MBPP_OUTPUT_NOT_NONE_TASKS
from evalplus.gen.util import trusted_exec


def main() -> None:
    jobs = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what EvalPlus and the programs print goes to stderr
    problems = get_mbpp_plus()
    json.dump([judge(problems[job["task_id"]], job["programs"]) for job in jobs], answers)
    answers.close()


def judge(problem: dict, programs: list[str]) -> list[dict]:
    """Verdicts on programs for one task, with the limits and the comparison of EvalPlus's command line."""
    name, found = problem["entry_point"], [{} for _ in programs]
    reference = problem["prompt"] + problem["canonical_solution"]
    not_none = name in MBPP_OUTPUT_NOT_NONE_TASKS
    for part in ("base", "plus"):
        inputs = problem[f"{part}_input"]
        expected, seconds = trusted_exec(reference, inputs, name, record_time=True, output_not_none=not_none)
        limits = (problem["atol"], seconds)
        for verdict, program in zip(found, programs, strict=True):
            status, details = untrusted_check("mbpp", program, inputs, name, expected, *limits, fast_check=True)
            verdict |= {part: status, f"{part}_done": len(details)}
    return found


if __name__ == "__main__":
    main()
