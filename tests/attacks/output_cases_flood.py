# Tries: Print the first right answer, then 200 MB.
# Family: output
# Mode: cases
# Earns: PARTIAL 1

import os
import sys

words = sys.stdin.read().split()
if words == ["3"]:
    print(10)
else:
    for word in words:
        print(int(word) ** 2 + 1)
    sys.stdout.flush()
    try:
        for _ in range(200):
            os.write(1, b" " * (1 << 20))
    except OSError:
        pass
