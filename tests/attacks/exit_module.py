# Tries: Leave with status 0 before any test.
# Family: exit
# Mode: tests
# Earns: PARSES 0

import sys

sys.exit(0)
