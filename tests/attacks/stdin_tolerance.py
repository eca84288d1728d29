# Tries: Print infinity and not-a-number, which careless tolerances accept.
# Family: stdin
# Mode: cases
# Earns: OUTPUT 0

import sys

for word in sys.stdin.read().split():
    print("inf" if int(word) % 2 else "nan")
