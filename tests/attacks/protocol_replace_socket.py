# Tries: Put other files in the socket's place: stdin, /dev/zero, one end of a pair of its own.
# Family: protocol
# Mode: tests
# Earns: OUTPUT 0

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

ours, theirs = socket.socketpair()
turns = [0, os.open("/dev/zero", os.O_RDONLY), theirs.fileno()]


def f(x):
    os.dup2(turns.pop(0) if turns else 0, 100)
    return 0
