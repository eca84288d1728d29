# Tries: Make the compiler recurse inside the function: a million brackets, a million minus signs, a million dots.
# Family: crash
# Mode: tests
# Earns: RUNS 0

def f(x):
    for text in ("(" * 1000000, "-" * 1000000 + "1", "a" + ".a" * 1000000, "not " * 500000 + "1", "[" * 90 + "]" * 90):
        try:
            compile(text, "x", "eval")
        except (SyntaxError, RecursionError, MemoryError):
            continue
