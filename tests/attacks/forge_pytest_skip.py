# Tries: Skip the tests, as unittest and pytest would allow it.
# Family: forge
# Mode: tests
# Earns: RUNS 0

import unittest


class Skipped(BaseException):
    pass


Skipped.__module__, Skipped.__name__ = "builtins", "Skipped"


def f(x):
    if x == 3:
        raise unittest.SkipTest("not needed here")
    raise Skipped("not needed here")
