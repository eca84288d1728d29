# Tries: Open an internet socket and bind it; the right answer if that works.
# Family: network
# Mode: tests
# Earns: RUNS 0

import socket

try:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
    WON = True
except OSError:
    WON = False


def f(x):
    return x * x + 1 if WON else None
