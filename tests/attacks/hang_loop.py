# Tries: Loop for ever.
# Family: hang
# Mode: tests
# Earns: RUNS 0

def f(x):
    while True:
        pass
