# Tries: Switch off, slow down and hook the memory management of the process.
# Family: patch
# Mode: tests
# Earns: OUTPUT 0

import gc
import sys

gc.disable()
gc.set_threshold(1)
gc.callbacks.append(lambda phase, info: sys.settrace(None))
sys.setswitchinterval(100)
sys.addaudithook(lambda event, arguments: None)


def f(x):
    return 0
