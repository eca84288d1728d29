"""Starts one process of a slot: `python start.py judge|zygote`.

The package is put in place by hand, so that its `__init__` (the trainer's side: threads, subprocesses) is not
loaded: what the zygote holds, every program gets a copy of.
"""

import importlib
import os
import sys
import types

if __name__ == "__main__":
    package = types.ModuleType("sandbox")
    package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
    sys.modules["sandbox"] = package
    importlib.import_module(f"sandbox.{sys.argv[1]}").main()
