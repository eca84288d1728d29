# Tries: Catch whatever is thrown to end it.
# Family: hang
# Mode: tests
# Earns: RUNS 0

def f(x):
    while True:
        try:
            while True:
                pass
        except BaseException:
            continue
