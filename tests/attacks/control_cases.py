# Tries: An honest script that reads all numbers from stdin.
# Family: control
# Mode: cases
# Earns: PASSED 3

import sys

for word in sys.stdin.read().split():
    print(int(word) ** 2 + 1)
