# Tries: Write into stdin and read behind its end, where expected output might stand.
# Family: stdin
# Mode: cases
# Earns: RUNS 0

import os

try:
    os.pwrite(0, b"10\n", 0)
    os.lseek(0, 0, os.SEEK_END)
    os.ftruncate(0, 0)
except OSError:
    pass
for fd in range(3, 64):
    try:
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(1, os.read(fd, 1000))
    except OSError:
        continue
