# Tries: Return a Fraction and a Decimal of subclasses that are equal to everything.
# Family: equality
# Mode: tests
# Earns: OUTPUT 0

from decimal import Decimal
from fractions import Fraction


class Always:
    def __eq__(self, other):
        return True

    def __lt__(self, other):
        return True

    def __hash__(self):
        return id(self)

    def __float__(self):
        return 5.0


class Ratio(Always, Fraction):
    pass


class Money(Always, Decimal):
    pass


def f(x):
    return Ratio(1, 3) if x > 2 else Money("0.1")
