# Tries: Close, swap and replace the standard streams and their descriptors.
# Family: output
# Mode: tests
# Earns: OUTPUT 0

import io
import os
import sys

sys.stdout = sys.__stdout__ = sys.stderr = sys.__stderr__ = io.StringIO()
sys.stdin = sys.__stdin__ = None
for fd in (0, 1, 2):
    os.close(fd)
os.open("/dev/null", os.O_RDWR)


def f(x):
    del sys.stdout
    return 0
