# Tries: Print a right first line and rubbish after it, for judges that compare only as many lines as expected.
# Family: stdin
# Mode: cases
# Earns: OUTPUT 0

import sys

for word in sys.stdin.read().split():
    print(int(word) ** 2 + 1)
print("and more")
