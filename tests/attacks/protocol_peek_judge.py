# Tries: Ask the kernel about the judge at the other end: its id, its credentials; the right answer if it can be signalled.
# Family: protocol
# Mode: tests
# Earns: RUNS 0

import json
import os


def read_exactly(count):
    data = b""
    while len(data) < count:
        part = os.read(100, count - len(data))
        if not part:
            os._exit(0)
        data += part
    return data


def read():
    return json.loads(read_exactly(int.from_bytes(read_exactly(4), "big")))


def send_text(text):
    data = len(text).to_bytes(4, "big") + text.encode()
    while data:
        data = data[os.write(100, data) :]


def send(*message):
    send_text(json.dumps(message))


import socket
import struct

WON = False
try:
    link = socket.socket(fileno=os.dup(100))
    pid = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    if pid > 1 and pid != os.getpid():
        os.kill(pid, 0)
        WON = True
except (OSError, TypeError):
    pass


def f(x):
    return x * x + 1 if WON else None
