# Tries: Answer each call twice, the second time from a thread a moment later.
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


def take_over(answer):
    """Answer the question for names, then every call, in the harness's place."""
    nonce, names = read()
    send(nonce, [{"handle": [0, "function"]} if name == "f" else None for name in names])
    while True:
        nonce, operation, *rest = read()
        answer(nonce, operation, rest)


import threading
import time


def later(nonce):
    time.sleep(0.01)
    send(nonce, "value", 0)


def answer(nonce, operation, rest):
    send(nonce, "value", 0)
    threading.Thread(target=later, args=(nonce,)).start()


take_over(answer)
