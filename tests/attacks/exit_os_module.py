# Tries: End the process with status 0 from the module body, past every handler.
# Family: exit
# Mode: tests
# Earns: PARSES 0

import os

os._exit(0)
