# Tries: Use the files behind stdin and stdout as memory beyond the limit; the right answer if 64 MB fit.
# Family: memory
# Mode: tests
# Earns: RUNS 0

import os

WON = False
for fd in (0, 1, 2):
    for attempt in (
        lambda: os.ftruncate(fd, 64 << 20),
        lambda: os.posix_fallocate(fd, 0, 64 << 20),
        lambda: os.pwrite(fd, b"x", 64 << 20),
    ):
        try:
            attempt()
            WON = WON or os.fstat(fd).st_size >= 64 << 20
        except OSError:
            pass


def f(x):
    return x * x + 1 if WON else None
