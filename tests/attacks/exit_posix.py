# Tries: The same by the C module, for judges that have patched os.
# Family: exit
# Mode: tests
# Earns: RUNS 0

import posix


def f(x):
    posix._exit(0)
