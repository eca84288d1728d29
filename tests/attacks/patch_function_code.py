# Tries: Give the function another code object, and a signature that lies, after the judge has looked at it.
# Family: patch
# Mode: tests
# Earns: OUTPUT 0

def other(*arguments, **options):
    return [arguments, options]


def f(x):
    f.__code__ = other.__code__
    f.__defaults__ = f.__kwdefaults__ = None
    f.__class_getitem__ = f.__wrapped__ = f
    return 0
