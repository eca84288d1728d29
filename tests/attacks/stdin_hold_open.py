# Tries: Print the right answers, then never end.
# Family: stdin
# Mode: cases
# Earns: PARSES 0

import sys
import time

for word in sys.stdin.read().split():
    print(int(word) ** 2 + 1, flush=True)
time.sleep(20)
