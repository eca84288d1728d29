# Tries: A script that speaks to the judge: a set of colliding fractions as its last word.
# Family: judge
# Mode: cases
# Earns: PARSES 0

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


send("failed", {"set": [{"Fraction": ["0x1", hex(k * ((1 << 61) - 1))]} for k in range(1, 5000)]}, None, None, 0)
read()
