# Tries: Crash at every second call, so that processes have to be started again and again.
# Family: crash
# Mode: tests
# Earns: OUTPUT 0

import ctypes

calls = []


def f(x):
    calls.append(x)
    if len(calls) % 2 == 0:
        ctypes.string_at(0)
    return 0
