# Tries: Claim that the body failed, in words that are no names, and go on.
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


read()
send("failed", "Passed\n", 10**30, -1, 0)
read()
