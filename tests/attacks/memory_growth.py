# Tries: Let a list grow to 2 GB in the module body.
# Family: memory
# Mode: tests
# Earns: PARSES 0

blocks = []
while len(blocks) < 2048:
    blocks.append(bytearray(1 << 20))
    blocks[-1][::4096] = b"x" * 256


def f(x):
    return 0


if len(blocks) < 2048:
    raise MemoryError
