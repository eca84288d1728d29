# Tries: Crash by the interpreter's own test functions, each time another way.
# Family: crash
# Mode: tests
# Earns: RUNS 0

import faulthandler
import itertools

ways = itertools.cycle([
    faulthandler._sigsegv, faulthandler._sigfpe, faulthandler._sigabrt, faulthandler._stack_overflow,
    lambda: faulthandler._fatal_error_c_thread(),
])


def f(x):
    next(ways)()
