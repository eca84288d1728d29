# Tries: Return an object with __len__, __iter__, __contains__ and __getitem__ that always says what is wanted.
# Family: equality
# Mode: check
# Earns: OUTPUT 0

class Container:
    def __len__(self):
        return 4

    def __iter__(self):
        return iter(())

    def __contains__(self, item):
        return True

    def __getitem__(self, index):
        return self

    def __eq__(self, other):
        return True

    def __bool__(self):
        return False


def f(n):
    return Container()
