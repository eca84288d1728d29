# Tries: Bind an abstract unix socket, which needs no file; the right answer if that works.
# Family: network
# Mode: tests
# Earns: RUNS 0

import socket

try:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0attack-was-here")
    WON = True
except OSError:
    WON = False


def f(x):
    return x * x + 1 if WON else None
