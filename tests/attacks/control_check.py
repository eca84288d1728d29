# Tries: An honest program, right for check().
# Family: control
# Mode: check
# Earns: PASSED 1

def f(n):
    return [i * i for i in range(n)]
