# Tries: Return an integer of a hundred thousand digits, whose conversion and comparison take time.
# Family: judge
# Mode: tests
# Earns: OUTPUT 0

def f(x):
    return 7 ** (120000 if x > 0 else 600000)
