# Tries: Return a list and a dictionary that contain themselves.
# Family: judge
# Mode: tests
# Earns: OUTPUT 0

def f(x):
    ring = [1]
    ring.append({"ring": ring})
    return ring
