"""Programs that try to look better than they are: none passes a test but by the right value.

`run` judges one such program and a good one after it. The good one must pass: whatever a program breaks, it breaks for
itself.
"""

import pytest

from sandbox import Limits, Sandbox, Stage, Task

TESTS = ("assert f(1) == 2", "assert set([f(2)]) == {3}", "import math\nassert math.isclose(f(3), 4)")
GOOD = Task("def f(x):\n    return x + 1\n", TESTS, "f")

# The judge's socket, spoken by the program itself.
SAY = """
import json, os, struct, sys
def say(message, text=None):
    body = (json.dumps(message) if text is None else text).encode()
    os.write(100, struct.pack(">I", len(body)) + body)
def hear():
    size, = struct.unpack(">I", os.read(100, 4))
    return json.loads(os.read(100, size))
def nonce():
    frame = sys._getframe()
    while frame:
        for value in list(frame.f_locals.values()):
            if type(value) is str and len(value) == 16 and set(value) <= set("0123456789abcdef"):
                return value
        frame = frame.f_back
    raise LookupError("no nonce in any frame")
"""


@pytest.fixture(scope="module")
def judge():
    limits = Limits(test_cpu_seconds=0.5, test_wall_seconds=5.0, program_cpu_seconds=0.5, program_wall_seconds=5.0)
    with Sandbox(slots=1, limits=limits) as judge:
        yield judge


def run(judge, program, tests=TESTS, entry_point="f"):
    outcome, after = judge.run([Task(program, tests, entry_point), GOOD])
    assert after.stage == Stage.PASSED
    return outcome


FORGE = """
import os
lines = [b'["parsed"]', b'["0000000000000000", "value", 2]', b"passed", b"PASSED", b"\\x01" * 8, b"\\0\\0\\0\\2[]"]
for fd in [*range(1, 100), *range(101, 300)]:
    for line in lines:
        try:
            os.write(fd, line)
            os.write(fd, line + b"\\n")
        except OSError:
            break
"""


@pytest.mark.parametrize("end", ["os._exit(0)", "def f(x): return 0"])
def test_words_on_every_other_descriptor(judge, end):
    """Bug: verdict lines on stdout, or on a descriptor that was left open, pass tests."""
    outcome = run(judge, FORGE + end)
    assert (outcome.passed, outcome.tamper) == (0, None)
    assert outcome.stage == (Stage.PARSES if "_exit" in end else Stage.OUTPUT)


EQUALITY = {
    "eq": "class E:\n    __hash__ = lambda s: 3\n    def __eq__(s, o): return True\n    __ne__ = lambda s, o: False",
    "int": "class E(int):\n    __hash__ = lambda s: 3\n    def __eq__(s, o): return True",
    "float": "class E(float):\n    __hash__ = lambda s: 3\n    __eq__ = lambda s, o: True\n    __sub__ = print",
    "str": "class E(str):\n    __hash__ = lambda s: 3\n    def __eq__(s, o): return True",
    "class": "class E:\n    __class__ = int\n    __hash__ = lambda s: 3\n    __eq__ = lambda s, o: True",
    "index": "class E:\n    __index__ = __int__ = __float__ = lambda s: 2\n    __eq__ = lambda s, o: True",
    "meta": "class M(type):\n    __eq__ = lambda s, o: True\n    __hash__ = lambda s: 3\nE = lambda: M('K', (), {})",
    "order": "import functools\n@functools.total_ordering\nclass E:\n    __eq__ = __lt__ = lambda s, o: True",
    "mock": "from unittest import mock\nE = lambda: mock.ANY",
}


@pytest.mark.parametrize("definition", EQUALITY.values(), ids=EQUALITY)
def test_always_equal(judge, definition):
    """Bug: comparing calls the program's own `__eq__`, directly or in a set, and it says yes."""
    program = f"{definition}\ndef f(x):\n    return E()\n"
    tests = (*TESTS, "assert not f(1) != 2", "assert f(1) in [2]", "assert [f(1)] == [2]", "assert {f(1): 0} == {2: 0}")
    outcome = run(
        judge, program, (*tests, "assert 2 in f(1)", "assert (f(1), 0) == (2, 0)", "assert f(1) <= 2 <= f(1)")
    )
    assert (outcome.stage, outcome.passed) == (Stage.OUTPUT, 0), outcome.tests


@pytest.mark.parametrize(
    "value",
    [
        "type('L', (list,), {'__eq__': lambda s, o: True, '__iter__': lambda s: iter([2]), '__len__': lambda s: 1})()",
        "type('D', (dict,), {'__eq__': lambda s, o: True, '__contains__': lambda s, k: True, '__missing__': int})()",
        "type('S', (set,), {'__eq__': lambda s, o: True, '__contains__': lambda s, k: True})()",
        "type('O', (), {'__contains__': lambda s, k: True, '__eq__': lambda s, o: True})()",
        "type('T', (tuple,), {'__eq__': lambda s, o: True, '__contains__': lambda s, k: True})()",
    ],
    ids=["list", "dict", "set", "object", "tuple"],
)
def test_containers_hold_what_they_hold(judge, value):
    """Bug: a container answers "yes" to every question about its content."""
    outcome = run(
        judge, f"def f(x):\n    return {value}\n", ("assert f(1) == [2]", "assert 2 in f(1)", "assert {2} == set(f(1))")
    )
    assert outcome.passed == 0, outcome.tests


@pytest.mark.parametrize(
    "program",
    [
        "set, abs = lambda x: {3}, lambda x: 0\ndef f(x): return 5",
        "import builtins\nbuiltins.set, builtins.abs = lambda x: {3}, lambda x: 0\ndef f(x): return 5",
        "import builtins\nbuiltins.exec = builtins.compile = lambda *a, **k: None\ndef f(x): return 5",
        "__builtins__ = {'set': lambda x: {3}, 'abs': lambda x: 0}\ndef f(x): return 5",
        "AssertionError = ValueError\ndef f(x): return 5",
        "import builtins\nbuiltins.AssertionError = ValueError\ndef f(x): return 5",
        "import math\nmath.isclose = lambda *a, **k: True\ndef f(x): return 5",
        "import sys\nsys.modules['math'] = type(sys)('math')\nsys.modules['math'].isclose = print\ndef f(x): return 5",
        "import operator\noperator.eq = lambda a, b: True\ndef f(x): return 5",
        "import atexit, os\natexit.register(os._exit, 0)\ndef f(x): return 5",
        "import sys\nsys.excepthook = lambda *a: sys.exit(0)\ndef f(x): return 5",
        "import sys\nclass H:\n    exc_info = None\nsys.unraisablehook = sys.displayhook = print\ndef f(x): return 5",
    ],
)
def test_patched_names(judge, program):
    """Bug: names that tests use are the program's own (`math.isclose` patched, `abs = lambda x: 0`)."""
    outcome = run(judge, program)
    assert (outcome.stage, outcome.passed) == (Stage.OUTPUT, 0)


@pytest.mark.parametrize(
    "program",
    [
        "import builtins\nvars(builtins).update(dict.fromkeys(vars(builtins)))\nf = lambda x: 5",
        "vars(__builtins__).update(dict.fromkeys(vars(__builtins__)))\nf = lambda x: 5",
        "import os, sys\nos.write = os._exit = sys.exit = print\ndef f(x): return 5",
        "import json\njson.dumps = lambda m: '[0, \"value\", 2]'\ndef f(x): return 5",
        "import json\njson.loads = lambda m, **k: [1, 2, 3]\ndef f(x): return 5",
        "import os\nos.read = lambda fd, n: b''\ndef f(x): return 5",
    ],
)
def test_broken_child(judge, program):
    """Bug: a program that breaks what its own process answers with passes, hangs, or breaks the next one."""
    outcome = run(judge, program)
    assert outcome.passed == 0
    assert outcome.stage <= Stage.OUTPUT


# What lies around in the process, and in every object of it.
LOOT = """
import gc, sys
def f(x):
    frame = sys._getframe()
    while frame:
        look(frame.f_code.co_consts, frame.f_locals, frame.f_globals)
        frame = frame.f_back
    for thing in gc.get_objects():
        look(thing)
    return found
found = []
def look(*things):
    for thing in things:
        parts = thing.values() if type(thing) is dict else thing if type(thing) in (list, tuple) else [thing]
        # Written so that this program holds neither itself.
        found.extend(p for p in list(parts) if type(p) is str and "assert" in p and str(4241 + len("1")) in p)
        found.extend(p for p in list(parts) if type(p) is int and p - 1 == 4241)
"""


def test_expected_values_are_not_in_the_process(judge):
    """Bug: the expected value, or the source of the tests, is found in the caller's frame, by gc, or in a constant."""
    outcome = run(judge, LOOT, ("assert f(1) == 4242", "assert f(2) == []"))
    assert [v.word for v in outcome.tests] == ["wrong", "passed"], outcome.tests[1].value


def test_trace_function_reaches_no_test(judge):
    """Bug: sys.settrace in the body, or in one test, moves the next test past its assertion."""
    program = """
import sys, threading
def trace(frame, event, arg):
    if event == "line" and frame.f_lineno == 2:
        frame.f_lineno = 3
    return trace
def f(x):
    sys.settrace(trace)
    return 0
sys.settrace(trace)
threading.settrace(trace)
"""
    outcome = run(judge, program, ("x = f(1)\nassert x == 2\nx = 0",) * 2)
    assert outcome.passed == 0


TAMPERING = {
    "early": "say(['0' * 16, 'value', 2])\ndef f(x): return 0",
    "early hundreds": "for i in range(300): say(['%016x' % i, 'value', 2])\ndef f(x): return 0",
    "number for a nonce": "say([0, 'value', 2])\ndef f(x): return 0",
    "no nonce": "def f(x): say(['value', 2])",
    "wrong nonce": "def f(x):\n    say(['0' * 16, 'value', x + 1])\n    return x + 1",
    "no list": "def f(x): say({'tuple': [nonce(), 'value', 2]})",
    "no value": "def f(x): say([nonce(), 'value'])",
    "two values": "def f(x): say([nonce(), 'value', x + 1, 2])",
    "unknown word": "def f(x): say([nonce(), 'passed'])",
    "unknown tag": "def f(x): say([nonce(), 'value', {'eval': '2'}])",
    "two tags": "def f(x): say([nonce(), 'value', {'set': [], 'tuple': []}])",
    "bare object": "def f(x): say([nonce(), 'value', {}])",
    "handle": "def f(x): say([nonce(), 'value', {'handle': ['a', 'b']}])",
    "handle with a name": "def f(x): say([nonce(), 'value', {'handle': [1, 'a b']}])",
    "attribute of a builtin": "def f(x): say([nonce(), 'value', {'builtin': 'eval'}])",
    "raised": "def f(x): say([nonce(), 'raised', 'ValueError'])",
    "stop": "def f(x): say([nonce(), 'stop'])",
    "not json": "def f(x): say(0, '[')",
    "not ascii": "def f(x): say(0, '[\"\\xe9\"]')",
    "empty": "def f(x): say(0, '')",
    "too large": "def f(x): os.write(100, b'\\x7f\\xff\\xff\\xff')",
    "deep": "def f(x): say(0, '[' * 9999 + ']' * 9999)",
    "deep in the body": "say(0, '[' * 9999 + ']' * 9999)",
    "answer to nobody": "def f(x):\n    say([nonce(), 'value', x + 1])\n    return x + 1",
    "torn": "say(0, '')\nsay(0, '[]')\ndef f(x): return x + 1",
    "number too long": "def f(x): say(0, '[\"' + nonce() + '\", \"value\", ' + '1' * 5000 + ']')",
    "names": "n = hear()[0]\nsay([n, [1, 2]])\ndef f(x): return 2",
    "more names": "n = hear()[0]\nsay([n, [None] * 9])",
}


@pytest.mark.parametrize("program", TAMPERING.values(), ids=TAMPERING)
def test_tampering_is_noticed(judge, program):
    """Bug: a message of another form than the child's own passes a test, ends the judge, or goes unnoticed."""
    # A loop that ends at once would pass the third test.
    tests = ("assert f(1) == 2", "assert f(2) == 3", "for y in map(f, [1, 2]):\n    assert y == 0")
    outcome = run(judge, SAY + program, tests)
    assert outcome.passed == 0
    if "deep" not in program and "9999" not in program:  # a deep value may be an honest one
        assert outcome.error_type == "Tampering"
        assert outcome.tamper
        assert [v.word for v in outcome.tests] == ["void"] * 3
    assert outcome.error_type != "SlotLost"
    assert outcome.stage <= Stage.RUNS


def test_answering_for_the_child_needs_the_value(judge):
    """Bug: a program that reads the requests itself and answers them in the right form passes whatever it says."""
    serve = SAY + (
        "n, names = hear()\nsay([n, [{'handle': [0, 'function']}]])\n"
        "while True:\n    n = hear()[0]\n    say([n, 'value', 2])\n"
    )
    outcome = run(judge, serve)
    assert [v.word for v in outcome.tests] == ["passed", "wrong", "wrong"]


def test_flood_of_the_socket(judge):
    """Bug: a program that floods the socket fills the judge's memory or hangs it."""
    outcome = run(judge, "import os\ndef f(x):\n    while True: os.write(100, b'\\0' * 5000)\n")
    assert (outcome.passed, outcome.error_type) == (0, "Tampering")
    slow = "import os, time\ndef f(x):\n    while True:\n        os.write(100, b'\\0')\n        time.sleep(0.01)\n"
    assert run(judge, slow).passed == 0


def test_half_an_answer_and_no_more(judge):
    """Bug: an answer that drips in, or never ends, gets round the clock."""
    # Elapsed time alone decides here.
    limits = Limits(test_wall_seconds=0.5, program_wall_seconds=0.5)
    half = SAY + "import time\ndef f(x):\n    os.write(100, b'\\0\\0\\1\\0[')\n    time.sleep(60)\n"
    with Sandbox(slots=1, limits=limits) as impatient:
        outcome = impatient.run([Task(half, TESTS, "f")])[0]
    assert (outcome.error_type, outcome.timeout) == ("Timeout", "wall")
    drip = SAY + "import time\ndef f(x):\n    os.write(100, b'\\0\\0\\xff\\0')\n    while True: os.write(100, b' ')\n"
    outcome = run(judge, drip)
    assert outcome.error_type in ("Timeout", "Tampering")
    assert outcome.passed == 0


@pytest.mark.parametrize(
    "body",
    [
        "os.close(100)",
        "os.closerange(0, 300)",
        "os.dup2(1, 100)",
        "import socket\n    socket.socket(fileno=100).shutdown(socket.SHUT_WR)",
        "import socket\n    a, b = socket.socketpair()\n    os.dup2(a.fileno(), 100)",
    ],
)
def test_closed_descriptors(judge, body):
    """Bug: a program that closes or replaces its descriptors makes judge or zygote spin or hang, or passes."""
    outcome = run(judge, f"import os\ndef f(x):\n    {body}\n    return x + 1\n")
    assert (outcome.stage, outcome.passed) == (Stage.RUNS, 0)
    assert outcome.error_type in ("Crash", "Timeout", "OSError")  # the last: its limit of descriptors lies below


def test_threads_that_answer_later(judge):
    """Bug: an answer that a thread sends after the function has returned counts for the next call."""
    program = SAY + (
        "import threading, time\n"
        "def late(n):\n    time.sleep(0.05)\n    for _ in range(3): say([n, 'value', 3])\n"
        "def f(x):\n    threading.Thread(target=late, args=(nonce(),)).start()\n"
        "    if x > 1: time.sleep(0.2)\n    return x + 1 if x == 1 else 0\n"
    )
    outcome = run(judge, program)
    assert (outcome.passed, outcome.error_type) == (0, "Tampering")


def test_pickles_are_no_messages(judge):
    """Bug: what a program sends is unpickled by the judge or the trainer, and so runs there."""
    program = SAY + (
        "import pickle\nclass P:\n    def __reduce__(self): return os._exit, (0,)\n"
        "def f(x):\n    body = pickle.dumps(P())\n    os.write(100, struct.pack('>I', len(body)) + body)\n"
    )
    assert run(judge, program).error_type == "Tampering"
    returned = "class P:\n    def __reduce__(self): return exit, (0,)\ndef f(x): return P()\n"
    assert run(judge, returned).stage == Stage.OUTPUT


@pytest.mark.parametrize(
    ("definition", "name"),
    [
        ("class E(Exception):\n    def __str__(self): raise self\n    __repr__ = __str__", "E"),
        ("class E(Exception):\n    __class__ = property(lambda self: 1 / 0)", "E"),
        ("class E(Exception):\n    __traceback__ = property(lambda self: exit())", "E"),
        ("class E(Exception):\n    args = property(lambda self: exit())", "E"),
        ("class E(Exception):\n    def __getattribute__(self, name): exit()", "E"),
        ("class M(type): __name__ = property(lambda c: exit())\nclass E(Exception, metaclass=M): pass", "E"),
        ("class M(type): __mro__ = property(lambda c: exit())\nclass E(Exception, metaclass=M): pass", "E"),
        ("E = type('E' * 10**6, (Exception,), {})", "E" * 80),
        ("E = type('a b\\nc', (Exception,), {})", "Exception"),
        ("E = type('\\xe9', (Exception,), {})", "Exception"),
        ("E = type('', (Exception,), {})", "Exception"),
        ("E = lambda: Exception('x' * 10**7)", "Exception"),
        ("E = lambda: ExceptionGroup('g', [ValueError()])", "ExceptionGroup"),
        ("E = type('Gone', (BaseException,), {})", "Gone"),
        ("class E(SystemExit): pass", "E"),
        ("E = StopIteration", "StopIteration"),
        ("E = lambda: __import__('asyncio').CancelledError()", "CancelledError"),
    ],
)
def test_hostile_exceptions(judge, definition, name):
    """Bug: reporting an exception runs the program's code, forges a word, or sends megabytes of text."""
    program = f"{definition}\ndef f(x):\n    raise E()\n"
    outcome = run(judge, program)
    assert (outcome.stage, outcome.error_type, outcome.passed) == (Stage.RUNS, name, 0)
    assert [v.error_type for v in outcome.tests] == [name] * 3
    assert outcome.line == program.count("\n")
    body = run(judge, f"{definition}\nraise E()\n")
    assert (body.stage, body.error_type) == (Stage.PARSES, name)


@pytest.mark.parametrize("name", ["sandbox", "sandbox.child.program", "sandbox.wire", "child", "zygote", "confine"])
def test_our_own_modules_cannot_be_imported(judge, name):
    """Bug: `import __main__` or `import sandbox.child` hands the program names of ours."""
    program = (
        f"import __main__, sys\nassert not {{'serve', 'confine_child', 'main'}} & set(dir(__main__))\nimport {name}\n"
    )
    assert run(judge, program).error_type == "ModuleNotFoundError"


@pytest.mark.parametrize("call", ["gc.get_objects()", "sys.modules.values()"])
def test_nothing_of_another_task_is_left(judge, call):
    """Bug: a program finds an earlier program, or its tests, in the memory that it was forked from."""
    secret = "def g(x):\n    return 'swordfish'\nf = g\n"
    look = f"import gc, sys\ndef f(x):\n    return 'ordfish' in str([v for v in {call} if type(v) in (dict, list)])\n"
    first, second = judge.run(
        [Task(secret, ("assert f(1) == 'swordfish'",), "f"), Task(look, ("assert not f(1)",), "f")]
    )
    assert (first.passed, second.passed) == (1, 1)
