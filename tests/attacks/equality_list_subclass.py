# Tries: Return a list whose class is equal to every list (a subclass is asked first by ==).
# Family: equality
# Mode: check
# Earns: OUTPUT 0

class Everything(list):
    def __eq__(self, other):
        return True

    def __len__(self):
        return 4

    def __iter__(self):
        return iter([0, 1, 4, 9])

    def __getitem__(self, index):
        return 0


def f(n):
    return Everything([7])
