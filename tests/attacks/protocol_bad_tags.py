# Tries: Answer with tags that do not exist, or contents that do not fit them.
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


def take_over(answer):
    """Answer the question for names, then every call, in the harness's place."""
    nonce, names = read()
    send(nonce, [{"handle": [0, "function"]} if name == "f" else None for name in names])
    while True:
        nonce, operation, *rest = read()
        answer(nonce, operation, rest)


turns = [
    {"pickle": "x"}, {"tuple": 1, "list": 2}, {"builtin": "eval"}, {"builtin": ["int"]}, {"set": [[1]]}, {"handle": 1},
    {"Fraction": ["0x1", "0x0"]}, {"Decimal": "ten"}, {"range": [1, 2, 0]}, {"int": "0x"}, {"bytes": "zz"}, {"dict": [1]},
    {"handle": ["x", "y"]}, {"handle": [10**30, "__class__"]}, {"datetime": "0000"}, {"timedelta": [1e308, 1, 1]}, {},
]


def answer(nonce, operation, rest):
    for turn in turns:
        send(nonce, "value", turn)


take_over(answer)
