# Tries: Return an instance whose class makes every look at it slow: __getattribute__, __class__, __len__, __hash__.
# Family: judge
# Mode: tests
# Earns: OUTPUT 0

import time


class Slow:
    def __getattribute__(self, name):
        time.sleep(20)

    def __len__(self):
        time.sleep(20)

    __hash__ = __bool__ = __iter__ = __str__ = __len__


def f(x):
    return Slow()
