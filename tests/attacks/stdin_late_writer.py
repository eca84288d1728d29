# Tries: Leave a thread and a process that print the answer after the main thread has ended.
# Family: stdin
# Mode: cases
# Earns: RUNS 0

import os
import threading
import time


def late():
    time.sleep(5)
    print(10)


threading.Thread(target=late, daemon=True).start()
try:
    if os.fork() == 0:
        late()
except (OSError, TypeError):
    pass
