# Tries: An honest program that is right for positive odd numbers only.
# Family: control
# Mode: tests
# Earns: PARTIAL 1

def f(x):
    return x * x + 1 if x % 2 and x > 0 and x < 4 else 0
