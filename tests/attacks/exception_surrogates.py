# Tries: Raise an error whose class name holds a line separator, its text lone surrogates and zero characters.
# Family: exception
# Mode: tests
# Earns: RUNS 0

def f(x):
    raise type("Zero\u2028", (ValueError,), {})("\udcff\x00\ud800" * 1000)
