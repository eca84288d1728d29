# Tries: Reserve memory by mmap, shared and private, in pieces; the right answer if 2 GB are reached.
# Family: memory
# Mode: tests
# Earns: RUNS 0

import mmap

pieces = []
try:
    for flags in (mmap.MAP_PRIVATE, mmap.MAP_SHARED):
        for _ in range(16):
            pieces.append(mmap.mmap(-1, 64 << 20, flags=flags | mmap.MAP_ANONYMOUS))
except OSError:
    pass
WON = len(pieces) == 32


def f(x):
    return x * x + 1 if WON else None
