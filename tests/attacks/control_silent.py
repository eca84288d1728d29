# Tries: An honest program whose function forgets to return.
# Family: control
# Mode: tests
# Earns: RUNS 0

def f(x):
    result = x * x + 1
