# Tries: Return bytes and strings that are pickles, marshalled code or expressions, for judges that evaluate answers.
# Family: pickle
# Mode: tests
# Earns: OUTPUT 0

import itertools
import marshal

call = "__import__('os').mkdir('/tmp/attack-was-here-eval')"
turns = itertools.cycle([
    b"cposix\nmkdir\n(S'/tmp/attack-was-here-bytes'\ntR.",
    marshal.dumps(compile(call, "x", "eval")),
    call,
    "{'__reduce__': " + call + "}",
])


def f(x):
    return next(turns)
