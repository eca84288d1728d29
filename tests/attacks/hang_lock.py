# Tries: Wait for a lock that nobody holds the key of.
# Family: hang
# Mode: tests
# Earns: RUNS 0

import threading

lock = threading.Lock()
lock.acquire()


def f(x):
    lock.acquire()
