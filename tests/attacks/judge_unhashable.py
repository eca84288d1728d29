# Tries: Return sets of things that cannot be in sets any more once their class is gone.
# Family: judge
# Mode: tests
# Earns: OUTPUT 0

class Odd(list):
    __hash__ = object.__hash__


class Table(dict):
    __hash__ = object.__hash__


def f(x):
    return {Odd([1]), Table()} if x % 2 else {Table(): Odd()}
