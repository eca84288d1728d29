"""docs/metrics.md against what the algorithms log."""

import json
import re
from pathlib import Path

from experiments import run

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
RUNS = {  # so that every metric is logged by one of them
    "sft": [],
    "reinforce": [],
    "grpo": ["--kl-coef", "0.1", "--reward", "binary + length(buffer=10)"],
    "gspo": ["--old-log-probs", "recompute", "--importance-cap", "2"],
    "rloo": [],
    "ppo": ["--kl-coef", "0.1", "--critic", "linear"],
}
STAGES = ("SYNTAX_ERROR", "PARSES", "RUNS", "OUTPUT", "PARTIAL", "PASSED")


def documented():
    """The names in the first column of the page's tables; `a/min`, `/max` share the first's beginning."""
    names = set()
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            found = re.findall(r"`([^`]+)`", line.split("|")[1])
            start = found[0].rsplit("/", 1)[0]
            names |= {start + name if name.startswith("/") else name for name in found}
    patterns = {
        "stages/<STAGE>": STAGES,
        "rewards/<name>/": ("staged", "binary", "length(buffer=10)"),
        "findings/style/<class>": ("error", "bug", "style", "simplify"),
        "findings/security/<severity>": ("HIGH", "MEDIUM", "LOW"),
    }
    for pattern, values in patterns.items():
        for name in [name for name in names if name.startswith(pattern)]:
            names.remove(name)
            names |= {re.sub("<.*>", value, name) for value in values}
    return names


def test_every_metric_is_on_the_page_and_every_line_of_the_page_is_logged(quick_runs, few_problems, tmp_path):
    """A metric that nobody can look up, a renamed one whose old name stays on the page; and a number that is none."""
    logged = set()
    for algorithm, options in RUNS.items():
        arguments = ["--algo", algorithm, "--data", str(few_problems), "--steps", "1", "--prompts", "4", *options]
        arguments += ["--eval-problems", "1", "--eval-samples", "0", "--eval-every", "1", "--checkpoint-every", "0"]
        arguments += ["--threads", "1"]
        assert run.main([*arguments, "--out", str(tmp_path / algorithm)]) == 0
        for line in (tmp_path / algorithm / "metrics.jsonl").read_text().splitlines():
            metrics = json.loads(line, parse_constant=lambda name: float("nan"))
            assert all(value == value for value in metrics.values()), metrics
            logged |= {re.sub(r"CWE-\d+$", "CWE-<number>", name) for name in metrics}
    assert logged >= {"findings/security/HIGH"}
    logged.add("findings/security/CWE-<number>")  # of the few programs here one may have a weakness, or none
    assert logged - documented() == set()
    assert documented() - logged == set()
