# Tries: Connect to a port of this machine; the right answer if a refusal comes back, because then the packet got there.
# Family: network
# Mode: tests
# Earns: RUNS 0

import socket

try:
    socket.create_connection(("127.0.0.1", 9), timeout=0.2).close()
    WON = True
except ConnectionRefusedError:
    WON = True
except OSError:
    WON = False


def f(x):
    return x * x + 1 if WON else None
