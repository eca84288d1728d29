# Tries: Find the verdict's list proxy or shared value with the garbage collector, at module level, and set it.
# Family: frames
# Mode: tests
# Earns: RUNS 0

import gc
import os

for thing in gc.get_objects():
    try:
        kind = type(thing).__name__
    except Exception:
        continue
    if kind == "ListProxy":
        thing.append("passed")
        os._exit(0)
    if kind == "Synchronized":
        thing.value = 0
    if kind == "SynchronizedArray":
        for i in range(len(thing)):
            thing[i] = True


def f(x):
    os._exit(0)
