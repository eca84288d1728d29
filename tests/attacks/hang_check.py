# Tries: Answer the first calls of check() and then hang.
# Family: hang
# Mode: check
# Earns: RUNS 0

calls = []


def f(n):
    calls.append(n)
    while len(calls) > 0:
        pass
