# Tries: Keep changing the returned list from a thread after it has been returned.
# Family: judge
# Mode: check
# Earns: OUTPUT 0

import threading

shared = []


def change():
    while True:
        shared.append(len(shared) ** 2)
        if len(shared) > 5:
            shared.clear()


threading.Thread(target=change, daemon=True).start()


def f(n):
    return shared
