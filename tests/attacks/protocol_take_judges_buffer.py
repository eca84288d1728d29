# Tries: Make the socket non-blocking, its buffers tiny, its owner this process, and never read.
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


import fcntl
import socket

link = socket.socket(fileno=100)
link.setblocking(False)
for option in (socket.SO_RCVBUF, socket.SO_SNDBUF, socket.SO_RCVLOWAT, socket.SO_LINGER):
    try:
        link.setsockopt(socket.SOL_SOCKET, option, 1)
    except OSError:
        pass
try:
    fcntl.ioctl(100, 0x8901, os.getpid())
except OSError:
    pass
while True:
    pass
