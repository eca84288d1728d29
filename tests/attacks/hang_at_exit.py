# Tries: Print the right answer and hang in an exit handler, a thread and a destructor.
# Family: hang
# Mode: cases
# Earns: PARSES 0

import sys
import threading
import time

for word in sys.stdin.read().split():
    print(int(word) ** 2 + 1, flush=True)
threading.Thread(target=time.sleep, args=(20,)).start()
