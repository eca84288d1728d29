# Tries: Return a class whose metaclass is equal to everything.
# Family: equality
# Mode: tests
# Earns: OUTPUT 0

class Meta(type):
    def __eq__(cls, other):
        return True

    def __lt__(cls, other):
        return True

    def __hash__(cls):
        return id(cls)

    def __instancecheck__(cls, instance):
        return True

    def __float__(cls):
        return 5.0


def f(x):
    return Meta("Yes", (), {})
