# Tries: Write a file of 300 MB; the right answer if it is there.
# Family: files
# Mode: tests
# Earns: RUNS 0

import os


def written():
    fd = os.open("/tmp/attack-was-here-big", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    block = bytes(1 << 20)
    return sum(os.write(fd, block) for _ in range(300)) == 300 << 20


try:
    WON = written()
except OSError:
    WON = False


def f(x):
    return x * x + 1 if WON else None
