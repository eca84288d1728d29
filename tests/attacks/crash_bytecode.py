# Tries: Run bytecode that no compiler would write.
# Family: crash
# Mode: tests
# Earns: RUNS 0

def f(x):
    return x


f.__code__ = f.__code__.replace(co_code=b"\x64\xff" * 8 + b"\x53\x00", co_stacksize=1)
