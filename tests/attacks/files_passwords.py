# Tries: Read who and what is on the machine: accounts, home directories, host name files; the right answer if anything opens.
# Family: files
# Mode: tests
# Earns: RUNS 0

import io
import os

WON = False
for path in ("/etc/passwd", "/etc/hostname", "/etc/resolv.conf", "/root/.bashrc", "/root/.profile", "/proc/cmdline"):
    try:
        io.open(path).close()
        WON = True
    except OSError:
        pass
needed = {"ld.so.cache", *os.__file__.split("/")}  # what Python itself cannot do without may be seen
for path in ("/root", "/home", "/etc", "/sys", "/proc", "/var"):
    try:
        WON = WON or bool(set(os.listdir(path)) - needed)
    except OSError:
        pass


def f(x):
    return x * x + 1 if WON else None
