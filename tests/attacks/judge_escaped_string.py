# Tries: Return a string that grows sixfold when it is written as JSON.
# Family: judge
# Mode: tests
# Earns: OUTPUT 0

def f(x):
    return "\ud800" * (40 << 10)
