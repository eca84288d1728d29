# Tries: Change the class of the answer while it is being written: its destructor and iterator do the work.
# Family: judge
# Mode: tests
# Earns: OUTPUT 0

class Changing(list):
    def __iter__(self):
        self.__class__ = Done
        return iter([26])


class Done(list):
    def __eq__(self, other):
        return True

    __hash__ = None


class Attribute:
    def __get__(self, instance, owner):
        instance.__dict__["__eq__"] = lambda other: True
        return instance


def f(x):
    Changing.__reduce__ = Changing.__len__ = Attribute()
    return Changing([7])
