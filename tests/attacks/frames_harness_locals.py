# Tries: Change the harness's own locals and cells from below: its writer, its table of objects, its nonce.
# Family: frames
# Mode: tests
# Earns: OUTPUT 0

import ctypes
import sys


def f(x):
    frame = sys._getframe(1)
    while frame is not None:
        for name in list(frame.f_locals):
            if name in ("write", "reply", "passed", "result", "results", "failed"):
                frame.f_locals[name] = True
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(1))
        frame = frame.f_back
    return 0
