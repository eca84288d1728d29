# Tries: Ignore every signal that can be ignored and block the rest.
# Family: hang
# Mode: tests
# Earns: RUNS 0

import signal


def f(x):
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    while True:
        pass
