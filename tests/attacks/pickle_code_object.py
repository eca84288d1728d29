# Tries: Return a function, a code object, a module and a type made on the spot.
# Family: pickle
# Mode: tests
# Earns: OUTPUT 0

import itertools
import sys

turns = itertools.cycle([f"{'x'}".join, compile("1", "x", "eval"), sys, type("Ten", (int,), {}), lambda: 10, iter([10])])


def f(x):
    return next(turns)
