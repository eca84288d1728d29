# Tries: Write 200 MB straight to descriptor 1.
# Family: output
# Mode: tests
# Earns: OUTPUT 0

import os

block = b"x" * (1 << 20)
try:
    for _ in range(200):
        os.write(1, block)
except OSError:
    pass


def f(x):
    return 0
