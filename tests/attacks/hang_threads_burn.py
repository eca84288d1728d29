# Tries: Burn time in eight threads while the main thread waits.
# Family: hang
# Mode: tests
# Earns: RUNS 0

import threading


def burn():
    while True:
        pass


def f(x):
    threads = [threading.Thread(target=burn, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    threads[0].join()
