# Tries: Stop the clocks that Python offers, then use up all the time there is.
# Family: patch
# Mode: tests
# Earns: RUNS 0

import time

for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
    setattr(time, name, lambda: 0.0)
    setattr(time, name + "_ns", lambda: 0)


def f(x):
    while time.time() < 1:
        pass
