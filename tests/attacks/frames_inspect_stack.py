# Tries: Use inspect and sys._current_frames to look for numbers in every thread's stack, and guess one of them.
# Family: frames
# Mode: tests
# Earns: OUTPUT 0

import inspect
import sys

seen = []


def f(x):
    for frame in [info.frame for info in inspect.stack()] + list(sys._current_frames().values()):
        while frame is not None:
            seen.extend(value for value in frame.f_locals.values() if type(value) in (int, float) and value != x)
            seen.extend(value for value in frame.f_code.co_consts if type(value) is int and value > 9)
            frame = frame.f_back
    return seen[-1] if seen else 0
