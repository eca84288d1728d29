# Tries: Replace the comparison of int in the type object itself.
# Family: patch
# Mode: tests
# Earns: OUTPUT 0

import ctypes

COMPARE = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.py_object, ctypes.c_int)
POINTER = ctypes.sizeof(ctypes.c_void_p)


@COMPARE
def yes(left, right, operation):
    return True


# tp_richcompare is the 26th pointer-sized field of a type object.
ctypes.c_void_p.from_address(id(int) + 25 * POINTER).value = ctypes.cast(yes, ctypes.c_void_p).value
ctypes.c_void_p.from_address(id(float) + 25 * POINTER).value = ctypes.cast(yes, ctypes.c_void_p).value


def f(x):
    return 0
