# Tries: Return decimals that raise or lie when they are compared: signalling and quiet NaN, a huge exponent.
# Family: equality
# Mode: tests
# Earns: OUTPUT 0

import itertools
from decimal import Decimal

turns = itertools.cycle([Decimal("sNaN"), Decimal("NaN"), Decimal("1E+999999999999999999"), Decimal("Infinity")])


def f(x):
    return next(turns)
