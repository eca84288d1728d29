# Tries: Raise AssertionError, which a judge may mistake for its own.
# Family: exception
# Mode: tests
# Earns: RUNS 0

def f(x):
    raise AssertionError
