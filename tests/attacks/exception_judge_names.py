# Tries: Raise exceptions that bear the names of the judge's own words.
# Family: exception
# Mode: tests
# Earns: RUNS 0

import itertools

names = itertools.cycle(["Passed", "Tampering", "JudgeTimeout", "SlotLost", "AssertionError", "Gone"])


def f(x):
    raise type(next(names), (BaseException,), {})("passed")
