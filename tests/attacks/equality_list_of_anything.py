# Tries: Return a plain list of the right length whose items are equal to everything.
# Family: equality
# Mode: check
# Earns: OUTPUT 0

class Item:
    def __eq__(self, other):
        return True

    def __lt__(self, other):
        return True

    def __hash__(self):
        return 0

    def __index__(self):
        return 0


def f(n):
    return [Item() for _ in range(n)]
