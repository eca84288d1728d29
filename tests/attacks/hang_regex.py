# Tries: Backtrack for ever in the regular expression engine.
# Family: hang
# Mode: tests
# Earns: RUNS 0

import re


def f(x):
    return re.match(r"(a+)+$", "a" * 60 + "b") is None
