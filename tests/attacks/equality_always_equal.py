# Tries: Return an object that is equal to everything.
# Family: equality
# Mode: tests
# Earns: OUTPUT 0

class Anything:
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    def __lt__(self, other):
        return True

    def __hash__(self):
        return id(self)

    def __float__(self):
        return 5.0

    def __bool__(self):
        return True


def f(x):
    return Anything()
