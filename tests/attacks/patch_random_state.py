# Tries: Guess with the random generator whose seed is known, and put a poisoned generator in its place.
# Family: patch
# Mode: tests
# Earns: OUTPUT 0

import random

random.seed = lambda *arguments: None
random.random = random.randint = lambda *arguments: 4
random._inst.__class__ = type("Sure", (random.Random,), {"random": lambda self: 0.0})


def f(x):
    return random.getrandbits(3)
