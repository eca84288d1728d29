# Tries: Raise an exception with 300 MB of text.
# Family: output
# Mode: tests
# Earns: RUNS 0

def f(x):
    raise ValueError("x" * (300 << 20))
