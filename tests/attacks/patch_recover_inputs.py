# Tries: Return the very argument, in every wrapping, hoping that a test compares by identity.
# Family: patch
# Mode: tests
# Earns: OUTPUT 0

def f(x):
    return x
