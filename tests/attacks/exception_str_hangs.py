# Tries: Raise an exception whose text takes for ever.
# Family: exception
# Mode: tests
# Earns: RUNS 0

class Slow(Exception):
    def __str__(self):
        while True:
            pass

    __repr__ = __reduce__ = __str__


def f(x):
    raise Slow(x)
