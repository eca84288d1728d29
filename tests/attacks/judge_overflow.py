# Tries: Return numbers that make arithmetic in the test raise: beyond any float, a complex, a string, a negative zero.
# Family: judge
# Mode: tests
# Earns: OUTPUT 0

import itertools

turns = itertools.cycle([10**400, complex("nan"), "10", b"10", -0.0, [10], True])


def f(x):
    return next(turns)
