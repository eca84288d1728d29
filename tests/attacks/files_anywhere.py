# Tries: Look for any directory that can be written to; the right answer if there is one (the file is removed at once).
# Family: files
# Mode: tests
# Earns: RUNS 0

import posix

WON = False
for place in (".", "/", "/tmp", "/dev/shm", "/run", "/var/tmp", "/work", "/box", "/home", "/root", "/usr/lib", "/dev"):
    path = place + "/attack-was-here"
    try:
        posix.close(posix.open(path, posix.O_CREAT | posix.O_WRONLY | posix.O_EXCL))
        posix.unlink(path)
        WON = True
    except OSError:
        pass


def f(x):
    return x * x + 1 if WON else None
