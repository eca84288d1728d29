# Tries: Return unittest.mock.ANY, the standard library's own always-equal object.
# Family: equality
# Mode: tests
# Earns: OUTPUT 0

from unittest import mock


def f(x):
    return mock.ANY
