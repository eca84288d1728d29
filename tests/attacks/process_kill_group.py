# Tries: Kill the own process group and those of the ancestors.
# Family: process
# Mode: tests
# Earns: OUTPUT 0

import posix


def f(x):
    for group in {posix.getppid(), posix.getpgid(posix.getppid()) if posix.getppid() else 1}:
        if group > 1:
            posix.killpg(group, 9)
    return 0
