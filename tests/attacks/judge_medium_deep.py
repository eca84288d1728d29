# Tries: Return lists nested about as deep as Python recurses, in small steps.
# Family: judge
# Mode: tests
# Earns: OUTPUT 0

import itertools

depths = itertools.count(150, 200)


def f(x):
    nest = ()
    for _ in range(next(depths)):
        nest = (nest,)
    return nest
