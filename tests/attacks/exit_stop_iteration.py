# Tries: Raise StopIteration, which ends map() early and makes all() of it true.
# Family: exit
# Mode: tests
# Earns: RUNS 0

def f(x):
    raise StopIteration
