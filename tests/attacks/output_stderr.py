# Tries: Write 200 MB to descriptor 2, in bytes that are no text.
# Family: output
# Mode: tests
# Earns: OUTPUT 0

import os

block = b"\xff\x00\x1b[2J" * (1 << 18)
try:
    for _ in range(150):
        os.write(2, block)
except OSError:
    pass


def f(x):
    return 0
