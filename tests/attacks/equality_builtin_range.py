# Tries: Return an endless range, so that the judge expands it: set(f(n)), sorted(f(n)).
# Family: equality
# Mode: check
# Earns: OUTPUT 0

def f(n):
    return range(10**18)
