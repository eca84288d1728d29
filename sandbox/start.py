"""Starts one process of a slot: `python start.py judge|zygote`.

It registers the package by hand, without its `__init__` (the trainer's side: threads, subprocesses), because every
program gets a copy of all that the zygote holds.
"""

import importlib
import os
import sys
import types

# No site packages (-s -S), no directory of a script or caller on the path (-P), no .pyc files (-B). Not -I, which
# ignores PYTHONHASHSEED: the order of a set would then differ from zygote to zygote.
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
        # `threading` and `random` register hooks that run after each fork and take longer than the fork itself. With
        # one thread and no locks they have no use, and `random` must be the same in every child.
        os.register_at_fork = lambda **hooks: None
    importlib.import_module(_MODULES[sys.argv[1]]).main()
