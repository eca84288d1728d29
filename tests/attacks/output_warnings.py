# Tries: Flood through the side doors: warnings, faulthandler, the interpreter's own messages on deleted objects.
# Family: output
# Mode: tests
# Earns: OUTPUT 0

import faulthandler
import sys
import warnings


class Noisy:
    def __del__(self):
        raise ValueError("x" * 100000)


def f(x):
    for turn in range(300):
        Noisy()
        warnings.warn("y" * 1000 + str(turn), stacklevel=1)
        faulthandler.dump_traceback(file=sys.__stderr__)
    return 0
