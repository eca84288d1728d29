# Tries: Write a file outside, by every way to open one.
# Family: files
# Mode: tests
# Earns: OUTPUT 0

import io
import os


def f(x):
    for attempt in (
        lambda: io.open("/tmp/attack-was-here-open", "w").close(),
        lambda: os.close(os.open("/tmp/attack-was-here-os", os.O_CREAT | os.O_WRONLY)),
        lambda: os.mkdir("/tmp/attack-was-here-dir"),
        lambda: os.symlink("/", "/tmp/attack-was-here-link"),
        lambda: os.mkfifo("/tmp/attack-was-here-fifo"),
    ):
        try:
            attempt()
        except OSError:
            pass
    return 0
