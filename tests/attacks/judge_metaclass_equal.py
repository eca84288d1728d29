# Tries: Return an instance whose class claims to be int, list and every key of a table, by its metaclass.
# Family: judge
# Mode: tests
# Earns: OUTPUT 0

class Meta(type):
    def __eq__(cls, other):
        return True

    def __hash__(cls):
        return hash(int)


class Odd(metaclass=Meta):
    def __eq__(self, other):
        return True

    def __hash__(self):
        return 5

    def __repr__(self):
        return "10"


def f(x):
    return Odd()
