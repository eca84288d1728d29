# Tries: The habit of competitive programmers: a thread with a big stack, and deep recursion.
# Family: control
# Mode: cases
# Earns: PASSED 3

import sys
import threading


def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)


def main():
    assert depth(20000) == 20000
    for line in sys.stdin:
        print(int(line) ** 2 + 1)


sys.setrecursionlimit(30000)
threading.stack_size(64 << 20)
thread = threading.Thread(target=main)
thread.start()
thread.join()
