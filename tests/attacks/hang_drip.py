# Tries: Return a generator that gives its items out ever more slowly.
# Family: hang
# Mode: check
# Earns: OUTPUT 0

import time


def f(n):
    for item in range(1000000):
        time.sleep(0.1)
        yield item
