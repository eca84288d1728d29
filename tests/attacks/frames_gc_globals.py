# Tries: Replace every function that the garbage collector finds in foreign modules by one that says yes.
# Family: frames
# Mode: tests
# Earns: OUTPUT 0

import gc
import types


def yes(*arguments, **options):
    return True


def f(x):
    for thing in gc.get_objects():
        if type(thing) is types.FunctionType and "sandbox" in str(thing.__code__.co_filename):
            thing.__code__ = yes.__code__
    return 0
