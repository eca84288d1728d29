"""The arrows between the rooms and the floors within them, read from the imports themselves."""

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
FLOORS = {"experiments": 6, "rl": 5, "sandbox": 4}  # the most import floors of a room
COMMANDS = {"run", "eval", "compare", "score", "fetch", "pretrain", "bench", "stress"}


def imported(path, at_load=False):
    """The modules that a file imports: "rl.kl" for both `import rl.kl` and `from rl import kl`. `at_load`: not those
    within functions."""
    names, tree = set(), ast.parse(path.read_text())
    for node in tree.body if at_load else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def files(room):
    """Each module of a room and its file. Packages' own files are left out: they only list names."""
    paths = [path for path in (ROOT / room).rglob("*.py") if path.name != "__init__.py"]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths}


@pytest.mark.parametrize("room", ALLOWED)
def test_arrows_go_one_way(room):
    """A convenient import that ties the core to the experiments, or the sandbox to anything of ours."""
    for path in (ROOT / room).rglob("*.py"):
        ours = {name.partition(".")[0] for name in imported(path)} & ALLOWED.keys() - {room}
        assert ours <= ALLOWED[room], f"{path} imports {ours}"


@pytest.mark.parametrize("room", FLOORS)
def test_a_room_has_few_import_floors(room):
    """Imports that pile up, or go in a circle: a reader of one file then needs all files."""
    modules = files(room)
    needs = {name: imported(path, at_load=True) & modules.keys() - {name} for name, path in modules.items()}

    def floor(name, above=()):
        assert name not in above, f"a circle: {' -> '.join((*above, name))}"
        return 1 + max((floor(other, (*above, name)) for other in needs[name]), default=0)

    highest = max(modules, key=floor)
    assert floor(highest) <= FLOORS[room], f"{highest} is on floor {floor(highest)}"


def test_the_core_imports_no_files():
    """Tensors that depend on formats: `rl` computes, and `rl.files` reads and writes for it."""
    for path in (ROOT / "rl").glob("*.py"):
        assert not any(name.startswith("rl.files") for name in imported(path)), path


def test_no_room_of_experiments_imports_a_command():
    """A room that drags a whole command along, or a circle between the two."""
    for name, path in files("experiments").items():
        if name.count(".") > 1:
            commands = {f"experiments.{command}" for command in COMMANDS}
            assert not imported(path) & commands, f"{path} imports {imported(path) & commands}"


@pytest.mark.parametrize("room", ["sandbox", "rewards.schedule", "data.embedded.generate"])
def test_judging_never_loads_torch(room):
    """A zygote or a reward that drags torch along: seconds to start, hundreds of megabytes to fork."""
    code = f"import sys, {room}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
