# Tries: Return a generator without end.
# Family: judge
# Mode: check
# Earns: OUTPUT 0

import itertools


def f(n):
    return (i * i for i in itertools.count())
