# Tries: Stay inside one C function that checks for no signal.
# Family: hang
# Mode: tests
# Earns: RUNS 0

def f(x):
    return pow(3, 10**9) % 7
