# Tries: Return a string of 300 MB.
# Family: judge
# Mode: tests
# Earns: OUTPUT 0

def f(x):
    return "\x00" * (300 << 20)
