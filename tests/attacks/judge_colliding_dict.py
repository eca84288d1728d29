# Tries: Return a dictionary whose keys are fractions with one hash, compared in Python, not in C.
# Family: judge
# Mode: tests
# Earns: OUTPUT 0

from fractions import Fraction

PRIME = (1 << 61) - 1


def f(x):
    keys = {}
    for k in range(1, 1500):
        keys[Fraction(1, k * PRIME)] = None
    return keys
