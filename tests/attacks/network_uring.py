# Tries: Set up io_uring, by which a socket can be had without the socket call; the right answer if that works.
# Family: network
# Mode: tests
# Earns: RUNS 0

import ctypes

parameters = ctypes.create_string_buffer(120)
WON = ctypes.CDLL(None).syscall(425, 4, parameters) >= 0


def f(x):
    return x * x + 1 if WON else None
