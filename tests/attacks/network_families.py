# Tries: Try every kind of socket there is; the right answer if one can be made.
# Family: network
# Mode: tests
# Earns: RUNS 0

import socket

WON = False
for family in range(1, 46):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        try:
            socket.socket(family, kind).close()
            WON = True
        except OSError:
            pass


def f(x):
    return x * x + 1 if WON else None
