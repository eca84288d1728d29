# Tries: Raise an exception that cannot be printed.
# Family: exception
# Mode: tests
# Earns: RUNS 0

class Mute(Exception):
    def __str__(self):
        raise Mute

    __repr__ = __str__

    def __getattribute__(self, name):
        raise Mute


def f(x):
    raise Mute
