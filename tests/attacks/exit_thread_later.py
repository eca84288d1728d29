# Tries: A thread ends the process with status 0 soon after the first answer.
# Family: exit
# Mode: tests
# Earns: OUTPUT 0

import os
import threading
import time


def leave():
    time.sleep(0.05)
    os._exit(0)


def f(x):
    threading.Thread(target=leave).start()
    time.sleep(0.02)
    return 0
