# Tries: Return an int whose class says it is equal to everything.
# Family: equality
# Mode: tests
# Earns: OUTPUT 0

class Number(int):
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    def __lt__(self, other):
        return False

    def __hash__(self):
        return id(self)

    def __float__(self):
        return 5.0


def f(x):
    return Number(0)
