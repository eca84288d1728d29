# Tries: Return at once, and loop when the answer is thrown away.
# Family: hang
# Mode: tests
# Earns: OUTPUT 0

class Slow(int):
    def __del__(self):
        while True:
            pass


def f(x):
    return Slow(0)
