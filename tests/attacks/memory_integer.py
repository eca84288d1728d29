# Tries: Compute an integer of a gigabyte.
# Family: memory
# Mode: tests
# Earns: RUNS 0

def f(x):
    value = 1 << (8 << 30)
    return len(str(value))
