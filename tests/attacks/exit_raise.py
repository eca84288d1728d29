# Tries: Raise SystemExit(0) inside the function.
# Family: exit
# Mode: tests
# Earns: RUNS 0

def f(x):
    raise SystemExit(0)
