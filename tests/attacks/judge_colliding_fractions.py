# Tries: Return a list of colliding fractions, harmless until a test makes a set of it.
# Family: judge
# Mode: check
# Earns: OUTPUT 0

from fractions import Fraction


def f(n):
    return [Fraction(1, k * ((1 << 61) - 1)) for k in range(1, 5000)]
