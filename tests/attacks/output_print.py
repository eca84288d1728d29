# Tries: Print for ever inside the function, and swallow what the limit raises.
# Family: output
# Mode: tests
# Earns: OUTPUT 0

def f(x):
    for _ in range(200):
        try:
            print("x" * 1000000, flush=True)
        except OSError:
            continue
    return 0
