# Tries: Return a set of numbers with one hash, which takes quadratic time to build.
# Family: judge
# Mode: tests
# Earns: OUTPUT 0

def f(x):
    return {k * ((1 << 61) - 1) for k in range(1, 6000)}
