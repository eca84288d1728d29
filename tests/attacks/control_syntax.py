# Tries: An honest program that does not compile.
# Family: control
# Mode: tests
# Earns: SYNTAX_ERROR 0

def f(x)
    return x * x + 1
