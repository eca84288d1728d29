# Tries: Return a list nested a million deep.
# Family: judge
# Mode: tests
# Earns: OUTPUT 0

def f(x):
    nest = []
    for _ in range(1000000):
        nest = [nest]
    return nest
