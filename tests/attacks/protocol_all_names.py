# Tries: Claim to define every name that the tests use, and answer each use with what it asks for.
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


nonce, names = read()
send(nonce, [{"handle": [0, name]} for name in names])
while True:
    nonce, operation, *rest = read()
    send(nonce, "value", {"get": {"handle": [0, "isclose"]}, "len": 4}.get(operation, True))
