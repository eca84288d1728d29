# Tries: Print a wrong answer and change what is written at exit.
# Family: stdin
# Mode: cases
# Earns: OUTPUT 0

import atexit
import os
import sys


class Stream:
    def write(self, text):
        return os.write(1, b"10\n26\n5\n1\n")

    def flush(self):
        return os.write(1, b"Accepted\n")


sys.stdout = sys.__stdout__ = Stream()
atexit.register(print, "Accepted")
print(0)
