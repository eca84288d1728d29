"""Starts one process of a slot: `python start.py judge|zygote`.

The package is put in place by hand, so that its `__init__` (the trainer's side: threads, subprocesses) is not
loaded: what the zygote holds, every program gets a copy of.
"""

import importlib
import os
import sys
import types

# No site packages (-s -S), no directory of a script or caller on the path (-P), no .pyc files (-B). Not -I: it
# would ignore PYTHONHASHSEED, and the order of a set would differ from zygote to zygote.
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
        # `threading` and `random` ask to be put in order after each fork, which takes longer than the fork itself. One
        # thread without locks leaves nothing to put in order, and `random` is to be the same in every child.
        os.register_at_fork = lambda **hooks: None
    importlib.import_module(_MODULES[sys.argv[1]]).main()
