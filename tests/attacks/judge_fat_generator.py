# Tries: Return a generator without end of large items, to fill the judge's memory.
# Family: judge
# Mode: check
# Earns: OUTPUT 0

def f(n):
    while True:
        yield tuple(f"{id(n)}-{item}" for item in range(12000))
