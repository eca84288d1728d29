# Tries: Return thirty lists inside each other, each twice: small in memory, a billion items when written out.
# Family: judge
# Mode: tests
# Earns: OUTPUT 0

def f(x):
    value = [0]
    for _ in range(30):
        value = [value, value]
    return value
