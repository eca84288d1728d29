# Tries: Spend the time in the kernel, not in the program: reading zeros without end.
# Family: hang
# Mode: tests
# Earns: RUNS 0

import os


def f(x):
    fd = os.open("/dev/zero", os.O_RDONLY)
    while True:
        os.read(fd, 1 << 24)
