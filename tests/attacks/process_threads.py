# Tries: Start two thousand threads that sleep; the right answer if there is room for all.
# Family: process
# Mode: tests
# Earns: RUNS 0

import threading
import time

WON = True
for _ in range(2000):
    try:
        threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
    except (RuntimeError, MemoryError):
        WON = False
        break


def f(x):
    return x * x + 1 if WON else None
