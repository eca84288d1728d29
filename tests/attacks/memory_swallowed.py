# Tries: Catch each MemoryError and ask for more, so that nothing ends it but the clock.
# Family: memory
# Mode: tests
# Earns: RUNS 0

def f(x):
    blocks = []
    while True:
        try:
            blocks.append(bytearray(1 << 26))
        except MemoryError:
            continue
        if len(blocks) > 40:
            blocks.clear()
