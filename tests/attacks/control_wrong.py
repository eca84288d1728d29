# Tries: An honest program with a wrong formula.
# Family: control
# Mode: tests
# Earns: OUTPUT 0

def f(x):
    return x * x
