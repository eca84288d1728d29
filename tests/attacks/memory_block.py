# Tries: Reserve 1.5 GB; the right answer if they are there.
# Family: memory
# Mode: tests
# Earns: RUNS 0

try:
    block = bytearray(3 << 29)
    WON = True
except MemoryError:
    WON = False


def f(x):
    return x * x + 1 if WON else None
