"""Starts one process of a slot: `python start.py judge|zygote`.

It registers the package without its `__init__` (the trainer's side), because programs get a copy of all that the
zygote holds.
"""

import importlib
import os
import sys
import types

# No site packages (-s -S), no directory of a script or caller on the path (-P), no .pyc files (-B). Not -I, which
# ignores PYTHONHASHSEED, on which the order of a set depends.
_OPTIONS = ("-s", "-S", "-P", "-B", "-W", "ignore", "-X", "utf8")
_MODULES = {"judge": "sandbox.judge.main", "zygote": "sandbox.child.zygote"}


def command(name: str, *arguments: str) -> list[str]:
    """The command line that starts the judge or the zygote."""
    return [sys.executable, *_OPTIONS, os.path.abspath(__file__), name, *arguments]


if __name__ == "__main__":
    package = types.ModuleType("sandbox")
    package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
    sys.modules["sandbox"] = package
    if sys.argv[1] == "zygote":
        # No hooks after a fork: those of `threading` and `random` take longer than the fork, one thread needs none, and
        # `random` must be the same in every child.
        os.register_at_fork = lambda **hooks: None
    importlib.import_module(_MODULES[sys.argv[1]]).main()
