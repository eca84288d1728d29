# Tries: Raise with a forged traceback: line numbers and code positions that do not exist.
# Family: exception
# Mode: tests
# Earns: RUNS 0

import types


def f(x):
    try:
        raise ValueError
    except ValueError as error:
        frame = error.__traceback__.tb_frame
        forged = types.TracebackType(None, frame, 10**6, -(10**6))
        forged = types.TracebackType(forged, frame, -2, 10**9)
        raise error.with_traceback(forged)
