# Tries: A script that prints the right numbers and ends with a failure: not what was asked.
# Family: exit
# Mode: cases
# Earns: PARSES 0

import sys

for word in sys.stdin.read().split():
    print(int(word) ** 2 + 1)
sys.stdout.flush()
raise SystemExit(3)
