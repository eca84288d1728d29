# Tries: Raise an exception whose metaclass answers all questions about its name with code.
# Family: exception
# Mode: tests
# Earns: RUNS 0

class Meta(type):
    @property
    def __name__(cls):
        raise SystemExit(0)

    __doc__ = __name__

    def __instancecheck__(cls, instance):
        return True

    def __subclasscheck__(cls, subclass):
        return True


class Odd(Exception, metaclass=Meta):
    pass


def f(x):
    raise Odd
