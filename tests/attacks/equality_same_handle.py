# Tries: Return the same object for every call: equal to itself, if anybody asks.
# Family: equality
# Mode: check
# Earns: OUTPUT 0

class Thing:
    pass


THING = Thing()


def f(n):
    return THING
