# Tries: Print only the first line of the right answer.
# Family: stdin
# Mode: cases
# Earns: PARTIAL 1

import sys

print(int(sys.stdin.readline()) ** 2 + 1)
