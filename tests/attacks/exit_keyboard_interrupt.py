# Tries: Raise KeyboardInterrupt, GeneratorExit and a BaseException of its own, which a judge may let through.
# Family: exit
# Mode: tests
# Earns: RUNS 0

import itertools


class Mine(BaseException):
    pass


turns = itertools.cycle([KeyboardInterrupt, GeneratorExit, Mine])


def f(x):
    raise next(turns)
