# Tries: An audit hook that refuses whatever the harness wants to do next.
# Family: patch
# Mode: tests
# Earns: RUNS 0

import sys

calls = []


def hook(event, arguments):
    if calls:
        raise SystemExit(0)


sys.addaudithook(hook)


def f(x):
    calls.append(x)
    open("/dev/null")
