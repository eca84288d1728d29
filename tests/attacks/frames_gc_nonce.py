# Tries: Take the nonce from the harness's frame and write a forged answer in a foreign form.
# Family: frames
# Mode: tests
# Earns: RUNS 0

import json
import os
import sys


def f(x):
    frame = sys._getframe(1)
    while frame is not None:
        nonce = frame.f_locals.get("nonce")
        if nonce:
            for message in ([nonce, "passed"], [nonce, "value", True, "passed"], {"nonce": nonce, "passed": 4}):
                body = json.dumps(message).encode()
                os.write(100, len(body).to_bytes(4, "big") + body)
        frame = frame.f_back
