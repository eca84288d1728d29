# Tries: Open the parent's descriptors, or own ones a second time, through /proc; the right answer if one opens.
# Family: files
# Mode: tests
# Earns: RUNS 0

import os

WON = False
for pid in (os.getppid(), "self"):
    for fd in range(3 if pid == "self" else 0, 256):
        try:
            os.close(os.open(f"/proc/{pid}/fd/{fd}", os.O_RDWR))
            WON = True
        except OSError:
            pass


def f(x):
    return x * x + 1 if WON else None
