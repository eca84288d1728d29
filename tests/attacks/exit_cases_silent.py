# Tries: A script that ends with status 0 and prints nothing.
# Family: exit
# Mode: cases
# Earns: RUNS 0

import os

os.close(1)
os._exit(0)
