# Tries: Inside a call, answer it and the next ones ahead of their time, with the nonce of this one.
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


import sys


def f(x):
    nonce = sys._getframe(2).f_locals.get("nonce")
    for _ in range(9):
        send(nonce, "value", 0)
    return 0
