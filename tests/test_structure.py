"""The arrows between the rooms, read from the imports themselves."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "sandbox": set(),
    "rewards": {"sandbox"},
    "rl": set(),
    "data": set(),
    "experiments": {"rl", "rewards", "data", "sandbox"},
}


def imported(path):
    """Top-level names that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("room", ALLOWED)
def test_arrows_go_one_way(room):
    """A convenient import that ties the core to the experiments, or the sandbox to anything of ours."""
    for path in (ROOT / room).rglob("*.py"):
        ours = imported(path) & ALLOWED.keys() - {room}
        assert ours <= ALLOWED[room], f"{path} imports {ours}"


@pytest.mark.parametrize("room", ["sandbox", "rewards.schedule", "data.embedded.generate"])
def test_judging_never_loads_torch(room):
    """A zygote or a reward that drags torch along: seconds to start, hundreds of megabytes to fork."""
    code = f"import sys, {room}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
