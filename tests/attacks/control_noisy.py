# Tries: An honest program that prints while it works and catches its own exceptions.
# Family: control
# Mode: tests
# Earns: PASSED 5

import logging

logging.basicConfig(level=logging.DEBUG)


def f(x):
    print("called with", x)
    try:
        return [x * x][1]
    except IndexError:
        logging.debug("as expected")
    return x * x + 1
