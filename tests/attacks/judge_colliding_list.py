# Tries: Return a list of colliding numbers, harmless until a test makes a set of it.
# Family: judge
# Mode: check
# Earns: OUTPUT 0

def f(n):
    return [k * ((1 << 61) - 1) for k in range(1, 7500)]
