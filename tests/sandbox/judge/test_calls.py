"""Tests that call the program: the unchanged test source runs in the judge, the program in its own process.

Most of what follows is a program that is right in some roundabout way, and must pass; where a test could pass for no
reason, a wrong program stands beside the right one.
"""

import pytest

from sandbox import Limits, Sandbox, Stage, Task


@pytest.fixture(scope="module")
def judge():
    limits = Limits(test_cpu_seconds=0.5, test_wall_seconds=10.0, judge_cpu_seconds=0.5)
    with Sandbox(slots=1, limits=limits) as judge:
        yield judge


def run(judge, program, *tests, entry_point="f", setup="", **fields):
    return judge.run([Task(program, tests, entry_point, setup, **fields)])[0]


def words(outcome):
    """The verdicts' words; of an exception its type instead."""
    return [v.error_type if v.word == "error" else v.word for v in outcome.tests]


def function(body, head=""):
    return head + "def f(*a, **k):\n" + "".join(f"    {line}\n" for line in body.split("\n"))


# Values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        *("None", "True", "-7", "10**4000", "1.5", "float('inf')", "2j", "'a\\ud800'", "b'a'", "bytearray(b'a')"),
        *("[1, (2, {3: {4}}), frozenset({5})]", "()", "{}", "set()", "range(2, 9, 3)", "{(1, 'a'): [None]}"),
        *("__import__('collections').deque([1])", "__import__('decimal').Decimal('1.10')", "int", "len"),
        *("__import__('fractions').Fraction(1, 3)", "__import__('datetime').date(2026, 1, 31)"),
        "__import__('datetime').timedelta(1, 2, 3)",
    ],
)
def test_plain_values_travel_both_ways(judge, value):
    """Bug: a value of a built-in type is refused, or changes its type on the way there or back."""
    tests = (
        f"v = {value}\nassert f(v) == v and type(f(v)) is type(v)",
        f"v = {value}\nassert f([v], k=v) == [v]",
        f"assert not f({value}) != {value}",
        f"assert f({value}, want=True) == repr({value})",
        f"assert f({value}) == 'another'",
    )
    program = function("return repr(a[0]) if k.get('want') else a[0]")
    assert words(run(judge, program, *tests)) == ["passed"] * 4 + ["wrong"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("collections.Counter('aab')", "{'a': 2, 'b': 1}"),
        ("collections.OrderedDict(b=1, a=2)", "{'b': 1, 'a': 2}"),
        ("collections.defaultdict(list, {1: [2]})", "{1: [2]}"),
        ("collections.namedtuple('P', 'x y')(1, 2)", "(1, 2)"),
        ("enum.IntEnum('E', 'A B').B", "2"),
        ("enum.StrEnum('E', {'A': 'x'}).A", "'x'"),
        ("type('S', (str,), {'__str__': lambda s: 'no', '__eq__': lambda s, o: False})('x')", "'x'"),
        ("type('I', (int,), {'__index__': lambda s: 9, '__repr__': lambda s: '9'})(2)", "2"),
        ("type('F', (float,), {'__float__': lambda s: 9.0})(2.5)", "2.5"),
        ("type('L', (list,), {'__iter__': lambda s: iter([9]), '__getitem__': lambda s, i: 9})([1, 2])", "[1, 2]"),
        ("type('T', (tuple,), {'__iter__': lambda s: iter([9])})([1, 2])", "(1, 2)"),
        ("type('D', (dict,), {'items': lambda s: [(9, 9)], 'keys': lambda s: [9]})(a=1)", "{'a': 1}"),
        ("type('Z', (set,), {'__iter__': lambda s: iter([9])})([1])", "{1}"),
        ("[collections.Counter('a'), (enum.IntEnum('E', 'A').A,)]", "[{'a': 1}, (1,)]"),
    ],
)
def test_values_of_subclasses_are_what_they_store(judge, value, expected):
    """Bug: a Counter or namedtuple is refused, or a subclass says something else than it holds."""
    outcome = run(judge, function(f"return {value}", "import collections, enum\n"), f"assert f() == {expected}")
    assert outcome.stage == Stage.PASSED, outcome.tests


def test_wrong_values_of_subclasses_are_wrong(judge):
    """Bug: any Counter passes."""
    program = function("return collections.Counter('ab')", "import collections\n")
    assert words(run(judge, program, "assert f() == {'a': 2}")) == ["wrong"]


@pytest.mark.parametrize(
    ("body", "error_type"),
    [
        ("return 'x' * 300_000", "ReplyTooLarge"),
        ("return list(range(10**5))", "ReplyTooLarge"),
        ("x = []\nx.append(x)\nreturn x", "NotPlainData"),
        ("x = []\nfor _ in range(10**5): x = [x]\nreturn x", "NotPlainData"),
        ("return {type('H', (list,), {'__hash__': lambda s: 1})([1])}", "NotPlainData"),
    ],
)
def test_values_that_do_not_travel(judge, body, error_type):
    """Bug: a reply that is too large or contains itself ends the child, hangs it, or is called tampering."""
    outcome = run(judge, function(body + "\n"), "assert f() == 1", "assert f() != 2")
    assert (words(outcome), outcome.tamper) == ([error_type] * 2, None)


def test_range_beyond_all_digits(judge):
    """Bug: numbers too long to print end the child."""
    assert run(judge, function("return range(10**5000)"), "assert f() == range(10**5000)").stage == Stage.PASSED


def test_arguments_are_copies(judge):
    """Bug (known, and stated): a test that looks for a change of its own list; the value returned is what counts."""
    program = function("a[0].append(1)\nreturn a[0]")
    outcome = run(judge, program, "x = []\nassert f(x) == [1]", "x = []\nf(x)\nassert x == [1]")
    assert words(outcome) == ["passed", "wrong"]


def test_what_a_test_cannot_hand_over(judge):
    """Bug: a function of the test reaches the program by another way than a call, or ends the judge."""
    assert words(run(judge, function("return a[0](2)"), "assert f(lambda x: x) == 2", "assert f(str) == '2'")) == [
        "TypeError",
        "passed",
    ]


def test_builtins_as_arguments(judge):
    """Bug: `f(x, int)` and `key=len` cannot be tested."""
    program = function("return sorted(a[0], key=k['key']) if k else isinstance(a[0], a[1])")
    outcome = run(
        judge,
        program,
        "assert f(['bb', 'a'], key=len) == ['a', 'bb']",
        "assert f(1, int)",
        "assert not f('', (int, list))",
    )
    assert words(outcome) == ["passed"] * 3


# Objects of the program ---------------------------------------------------------------------------------------

STACK = """
class Node:
    def __init__(self, value, left=None):
        self.value, self.left = value, left
        self._hidden = value * 2
    def add(self, by=1):
        self.value += by
        return self
    def __len__(self): return 3
    def __getitem__(self, i): return [self.value, i][bool(i)]
    def __setitem__(self, i, v): self.value = v
    def __str__(self): return f"Node {self.value}"
    def __iter__(self): return iter([self.value, Node(9)])
    size = 7
    @staticmethod
    def make(v): return Node(v)

def f(node): return node.value
def same(x): return x
def tree(): return Node(1, Node(2))
"""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("assert f(Node(3)) == 3", "assert f(Node(3)) == 4"),
        ("n = Node(3, Node(4))\nassert f(n.left) == 4", "n = Node(3, Node(4))\nassert f(n.left) == 3"),
        ("assert tree().left.value == 2", "assert tree().left.value == 1"),
        ("n = tree()\nn.add(by=4)\nassert n.value == 5", "n = tree()\nn.add()\nassert n.value == 5"),
        ("n = tree()\nn.value = 8\nassert f(n) == 8", "n = tree()\nn.value = 8\nassert f(n) == 1"),
        ("assert Node(1).add().add().value == 3", "assert Node(1).add().value == 3"),
        ("assert Node.make(5).value == Node.size - 2", "assert Node.size == 8"),
        ("assert Node(3)._hidden == 6", "assert Node(3)._hidden == 5"),
        ("assert len(Node(1)) == 3", "assert len(Node(1)) == 2"),
        ("assert Node(4)[0] == 4 and Node(4)[2] == 2", "assert Node(4)[1] == 4"),
        ("n = Node(4)\nn[0] = 5\nassert n[0] == 5", "n = Node(4)\nn[0] = 5\nassert n[0] == 4"),
        ("assert str(Node(4)) == 'Node 4' == f'{Node(4)}'", "assert str(Node(4)) == 'Node 5'"),
        ("a, b = Node(4)\nassert a == 4 and b.value == 9", "a, b = Node(4)\nassert b == 9"),
        ("n = Node(1)\nassert same(n) == n and same(n) is not None", "assert Node(1) == Node(1)"),
        ("n = Node(1)\nassert len({n, same(n)}) == 1", "assert len({Node(1), Node(1)}) == 1"),
        ("assert f(same([Node(3)])[0]) == 3", "assert same([Node(3)]) == [Node(3)]"),
        ("assert hasattr(Node(1), 'left') and not hasattr(Node(1), 'right')", "assert hasattr(Node(1), 'right')"),
        ("assert getattr(Node(1), 'value') == 1", "assert getattr(Node(1), 'right', None)"),
        ("assert not isinstance(Node(1), int)", "assert isinstance(Node(1), (int, list))"),
    ],
)
def test_objects_stay_where_they_are(judge, right, wrong):
    """Bug: instances of the program's classes cannot be made, used or handed back by a test, or always agree."""
    assert words(run(judge, STACK, right, wrong)) == ["passed", "wrong"]


ITERABLES = {
    "generator": "for i in range(3): yield i",
    "iterator": "return iter([0, 1, 2])",
    "map": "return map(abs, [0, -1, -2])",
    "zip": "return (i for i, _ in zip(range(3), 'abc'))",
    "class": "return type('C', (), {'__iter__': lambda s: iter([0, 1, 2])})()",
    "reversed": "return reversed([2, 1, 0])",
    "enumerate": "return (i for i, _ in enumerate('abc'))",
}


@pytest.mark.parametrize("body", ITERABLES.values(), ids=ITERABLES)
def test_iterables(judge, body):
    """Bug: `list(f(x))` works for lists only, or an iterator may be run through twice, or ends too early."""
    tests = (
        "assert list(f()) == [0, 1, 2]",
        "assert sum(f()) == 3 and max(f()) == 2 and sorted(f(), reverse=True) == [2, 1, 0]",
        "assert [x for x in f()] == [0, 1, 2]",
        "it = iter(f())\nassert next(it) == 0 and next(it) == 1 and list(it) == [2] and next(it, 5) == 5",
        "assert list(f()) == [0, 1]",
        "assert list(f()) == []",
        "assert f() == [0, 1, 2]",
    )
    assert words(run(judge, function(body), *tests)) == ["passed"] * 4 + ["wrong"] * 3


def test_an_endless_iterator_costs_its_own_test(judge):
    """Bug: `list(f())` of a generator that never ends takes the judge along, and all other tests with it."""
    program = "def f(n):\n    i = 0\n    while n < 0 or i < n:\n        yield i\n        i += 1\n"
    outcome = run(
        judge, program, "assert list(f(2)) == [0, 1]", "assert list(f(-1)) == [0]", "assert list(f(1)) == [0]"
    )
    assert words(outcome)[::2] == ["passed", "passed"]
    assert words(outcome)[1] in ("ReplyTooLarge", "timeout")


def test_closures_decorators_and_partials(judge):
    """Bug: a function that a call returns cannot be called, or is called in the judge."""
    program = (
        "import functools\n@functools.lru_cache\ndef cached(x): return x + 1\n"
        "def adder(n):\n    def add(x): return x + n\n    return add\n"
        "f = functools.partial(adder(2), 3)\ntwice = lambda g: lambda x: g(g(x))\n"
    )
    tests = (
        "assert adder(2)(3) == 5",
        "assert f() == 5",
        "assert cached(1) == 2 == cached(1) and cached.cache_info()[0] == 1",
        "assert twice(adder(3))(1) == 7",
        "assert [g(1) for g in map(adder, [1, 2])] == [2, 3]",
        "assert adder(2)(3) == 6",
    )
    assert words(run(judge, program, *tests)) == ["passed"] * 5 + ["wrong"]


def test_an_entry_point_that_is_a_builtin(judge):
    """Bug: `f = sorted` has no handle, and so cannot pass; or passes whatever is asked."""
    outcome = run(judge, "f = sorted\n", "assert f([2, 1]) == [1, 2]", "assert f([2, 1]) == [2, 1]")
    assert words(outcome) == ["passed", "wrong"]


# Exceptions ---------------------------------------------------------------------------------------------------


def test_exceptions_that_a_test_expects(judge):
    """Bug: `except ValueError` of a test does not catch the program's, or catches anything, or the text is lost."""
    program = (
        "class Odd(ValueError): pass\n"
        "def f(x):\n    if x == 3: raise Odd('own')\n    raise ValueError('bad ' + str(x))\n"
    )
    tests = (
        "try:\n    f(1)\nexcept ValueError as e:\n    assert str(e) == 'bad 1' == e.args[0]\nelse:\n    assert 0",
        "try:\n    f(1)\nexcept KeyError:\n    pass",
        "try:\n    f(3)\nexcept Exception as e:\n    assert str(e) == 'own'\nelse:\n    assert 0",
        "f(3)",
        "import contextlib\nwith contextlib.suppress(ValueError):\n    f(1)\n    assert 0",
    )
    assert words(run(judge, program, *tests)) == ["passed", "ValueError", "passed", "Odd", "passed"]


def test_exceptions_of_a_test_are_not_the_programs(judge):
    """Bug: a test's own mistake is given a place in the program."""
    outcome = run(judge, function("return [1]"), "assert f()[3] == 1", "f() + 1", "g()")
    assert words(outcome) == ["IndexError", "TypeError", "NameError"]
    assert {(v.line, v.column) for v in outcome.tests} == {(None, None)}


def test_out_of_memory(judge):
    """Bug: MemoryError is an error like any other in the record."""
    outcome = run(judge, function("return [0] * 10**10"), "assert f() == 1")
    assert (words(outcome), outcome.out_of_memory) == (["MemoryError"], True)
    assert not run(judge, function("return 1 / 0"), "assert f() == 1").out_of_memory


def test_exit_of_a_test_is_not_a_pass(judge):
    """Bug: a test that leaves (or a program that makes it leave) counts as passed, or ends the judge."""
    assert words(run(judge, function("return 0"), "exit()", "raise SystemExit(0)", "assert f() == 0")) == [
        "SystemExit",
        "SystemExit",
        "passed",
    ]


@pytest.mark.parametrize(
    ("program", "line", "column"),
    [
        ("def f():\n    x = 'é漢😀'; return x.missing\n", 2, 22),
        ("def f():\n\tif 1:\n\t\treturn [][0]\n", 3, 9),
        ("def f():\r\n    x = 1\r\n    return x.missing\r\n", 3, 11),
        ("def f():\r    x = 1\r    return x.missing\r", 3, 11),
        ("x = '''\n\f\x0b\x1c\u2028'''\ndef f():\n    return x.missing\n", 4, 11),
        ("def f():\n    return (1 +\n            [][0])\n", 3, 12),
        ("exec(compile('\\n' * 50 + '1 / 0', '<program>', 'exec'))\n", 51, None),
    ],
    ids=["unicode", "tab", "crlf", "cr", "separators", "multi-line", "own code"],
)
def test_place(judge, program, line, column):
    """Bug: a column counts bytes, or a line that Python does not end is counted as one."""
    outcome = run(judge, program, "assert f() == 1")
    assert outcome.line == line
    if column is not None:
        assert outcome.column == column


# Names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["sum", "max", "print", "list", "math", "copy", "candidate", "check", "assertion", "x1"]
)
def test_entry_points_of_any_name(judge, name):
    """Bug: an entry point called as a builtin or a module is tested by Python's own, or not at all."""
    program = f"def {name}(a): return a + 1\n"
    assert words(run(judge, program, f"assert {name}(1) == 2", f"assert {name}(1) == 1", entry_point=name)) == [
        "passed",
        "wrong",
    ]
    check = f"def check(candidate):\n    assert candidate(1) == 2\n    assert {name}(2) == 3\n"
    if name not in ("check", "candidate"):  # hidden by the test's own names
        assert judge.run([Task(program, check=check, entry_point=name)])[0].stage == Stage.PASSED


def test_without_an_entry_point_names_are_found(judge):
    """Bug: a task that names no entry point cannot be judged; or a missing name is a crash."""
    program = "class A:\n    v = 2\ndef g(x): return x\nsum = lambda x: 5\n"
    outcome = run(judge, program, "assert A().v == g(2)", "assert h(1)", "assert sum([1]) == 1", entry_point="")
    assert words(outcome) == ["passed", "NameError", "passed"]


def test_several_functions_of_the_program(judge):
    """Bug: only the entry point can be called."""
    program = "def encode(x): return x + 1\ndef f(x): return x - 1\nLIMIT = 3\n"
    assert words(run(judge, program, "assert f(encode(4)) == 4", "assert f(encode(4)) == 5")) == ["passed", "wrong"]


def test_setup_comes_before_the_program(judge):
    """Bug: a helper of the tests is replaced by the program's function of the same name (`isclose = lambda: True`)."""
    program = "def helper(a, b): return True\ndef near(a, b): return True\ndef f(): return 1\n"
    setup = "def helper(a, b): return a == b\nfrom math import isclose as near\ndef f(): return 2\n"
    outcome = run(judge, program, "assert helper(f(), 1)", "assert helper(f(), 2)", "assert near(f(), 2)", setup=setup)
    assert words(outcome) == ["passed", "wrong", "wrong"]
    check = "def helper(a, b): return a == b\ndef check(candidate):\n    assert helper(candidate(), 2)\n"
    assert judge.run([Task(program, check=check, entry_point="f")])[0].passed == 0


def test_modules_are_the_judges_own(judge):
    """Bug: tests that use a module which only the program imports fail, or use the program's `math`."""
    program = "import math, re\nmath.floor = lambda x: 0\nclass re:\n    match = lambda *a: True\ndef f(x): return x\n"
    tests = ("assert math.floor(f(2.5)) == 2", "assert math.floor(f(2.5)) == 0", "assert re.match('a', f('b'))")
    assert words(run(judge, program, *tests)) == ["passed", "wrong", "wrong"]


def test_names_live_on_from_test_to_test(judge):
    """Bug: tests of one task do not share their names, as the lines of a file do; or a new child forgets them."""
    program = "import os\ndef f(x):\n    if x == 2: os._exit(1)\n    return x\n"
    outcome = run(
        judge, program, "a = f(5)", "f(2)", "assert f(7) == 7", "import math\nb = 1", "assert math.floor(b + f(1)) == 2"
    )
    assert words(outcome) == ["passed", "crash", "passed", "passed", "passed"]


def test_setup_runs_again_after_a_crash(judge):
    """Bug: after a crash the next tests find no helper, or one that speaks to the dead child."""
    program = (
        "import os\nclass A:\n    def __init__(s, x): s.x = x\ndef f(x):\n    if x == 2: os._exit(1)\n    return x\n"
    )
    setup = "def ask(x):\n    return f(x)\nbox = A(6)\n"
    outcome = run(
        judge, program, "assert ask(1) == 1", "assert ask(2) == 2", "assert ask(3) == box.x // 2", setup=setup
    )
    assert words(outcome) == ["passed", "crash", "passed"]


def test_check_is_one_test(judge):
    """Bug: the second assertion of check() is not reached, or a check that is never called passes."""
    check = "def check(candidate):\n    for i in range(3):\n        assert candidate(i) == i\n    assert f(7) == 8\n"
    wrong = judge.run([Task("def f(x): return x\n", check=check, entry_point="f")])[0]
    assert (wrong.stage, wrong.total, wrong.passed) == (Stage.OUTPUT, 1, 0)
    assert wrong.tests[0].value == "7"
    right = judge.run([Task("def f(x): return x + (x == 7)\n", check=check, entry_point="f")])[0]
    assert (right.stage, right.passed) == (Stage.PASSED, 1)
    assert judge.run([Task("def f(x): return x", check="def other(c): pass", entry_point="f")])[0].passed == 0


def test_state_lives_on_in_one_child_and_dies_with_it(judge):
    """Bug: each call has a process of its own, or a program's state outlives its crash."""
    program = "import os\nn = 0\ndef f(die=False):\n    global n\n    if die: os._exit(0)\n    n += 1\n    return n\n"
    outcome = run(judge, program, "assert f() == 1", "assert f() == 2", "f(True)", "assert f() == 1")
    assert words(outcome) == ["passed", "passed", "crash", "passed"]


def test_a_body_that_does_not_do_the_same_twice(judge):
    """Bug: a program whose body fails after a crash stops the judge, or is tried for ever."""
    program = "import os, time\nif time.process_time_ns() % 2: pass\ndef f(x):\n    os._exit(0)\n"
    assert words(run(judge, program, *["assert f(1) == 1"] * 5)) == ["crash"] * 5


# Lines --------------------------------------------------------------------------------------------------------

BRANCHES = """def f(x):
    if x > 1:
        y = 1
    else:
        y = 2
    if x == 3:
        import os; os._exit(1)
    return y
"""


def test_executed_lines(judge):
    """Bug: lines of one test are counted for another, those before a crash are lost, or a body's are left out."""
    outcome = run(judge, BRANCHES, "assert f(1) == 2", "assert f(3) == 1", "assert f(2) == 1", want_lines=True)
    assert words(outcome) == ["passed", "crash", "passed"]
    assert [v.lines for v in outcome.tests][0] in [(1, 2, 5, 6, 8), (2, 5, 6, 8)]
    assert set(outcome.tests[1].lines or ()) <= {1, 2, 3, 6, 7}
    assert set(outcome.tests[2].lines) - {1} == {2, 3, 6, 8}
    assert outcome.lines == (1, 2, 3, 5, 6, 7, 8)


def test_lines_only_when_asked(judge):
    """Bug: every program is slowed down by tracing."""
    outcome = run(judge, "import sys\ndef f(): return sys.gettrace() is None\n", "assert f() == True")
    assert (outcome.stage, outcome.lines, outcome.tests[0].lines) == (Stage.PASSED, None, None)


def test_support(judge):
    """Bug: a stand-in is not there for the program, stays for the next one, or counts as its first line."""
    stand_in = "import sys, types\nsys.modules['yaml'] = types.SimpleNamespace(safe_load=lambda text: text.upper())\n"
    program = "import yaml\ndef f(x):\n    return yaml.safe_load(x) if x else 1 / 0\n"
    helped = run(judge, program, "assert f('a') == 'A'", "assert f('') == 'A'", support=stand_in)
    assert (words(helped), helped.line) == (["passed", "ZeroDivisionError"], 3)
    alone = run(judge, program, "assert f('a') == 'A'")
    assert (alone.stage, alone.error_type, alone.line) == (Stage.PARSES, "ModuleNotFoundError", 1)


@pytest.mark.parametrize("support", ["1 / 0", "(((", "import nothing_of_the_kind"])
def test_support_that_fails_is_named(judge, support):
    """Bug: the problem's own mistake is put down to the program."""
    outcome = run(judge, "def f(): return 1\n", "assert f() == 1", support=support)
    assert (outcome.stage, outcome.error_type, outcome.line) == (Stage.PARSES, "SupportError", None)


# Limits of the judge itself -----------------------------------------------------------------------------------


def test_values_that_take_the_judge_for_ever():
    """Bug: a set of colliding numbers keeps the judge busy for minutes, or its death takes other tasks along."""
    program = "def f(): return [k * (2**61 - 1) for k in range(20_000)]\n"
    good = [Task(f"def f(): return [{i}]\n", (f"assert set(f()) == {{{i}}}",), "f") for i in range(4)]
    bad = Task(program, ("assert len(f()) == 20_000", "assert set(f()) == {1}"), "f")
    with Sandbox(slots=1, limits=Limits(judge_cpu_seconds=0.3, test_wall_seconds=20.0, reply_bytes=1 << 20)) as judge:
        outcomes = judge.run([good[0], bad, *good[1:]])
    assert [outcome.stage for outcome in outcomes if outcome.error_type is None] == [Stage.PASSED] * 4
    assert (outcomes[1].error_type, outcomes[1].timeout, outcomes[1].passed) == ("JudgeTimeout", "judge", 0)


def test_waiting_for_the_program_is_not_the_judges_time(judge):
    """Bug: the judge's clock runs while the program does, and slow programs are called judge timeouts."""
    limits = Limits(test_cpu_seconds=5.0, test_wall_seconds=20.0, judge_cpu_seconds=0.2)
    wait = "end = time.process_time() + 0.4\nwhile time.process_time() < end: pass\nreturn 1"
    program = function(wait, "import time\n")
    with Sandbox(slots=1, limits=limits) as patient:
        assert run(patient, program, "assert f() == 1").stage == Stage.PASSED


def test_limit_of_replies_is_an_option():
    """Bug: the limit of replies is written into the code, or cuts a reply off instead of refusing it."""
    tests = ("assert f(40) == 'x' * 40", "assert len(f(400)) == 400")
    with Sandbox(slots=1, limits=Limits(reply_bytes=128)) as narrow:
        assert words(run(narrow, "def f(n): return 'x' * n\n", *tests)) == ["passed", "ReplyTooLarge"]
    with Sandbox(slots=1, limits=Limits(reply_bytes=1 << 20)) as wide:
        program = "def f(n): return list(range(n))\n"
        assert run(wide, program, "assert f(10**5) == list(range(10**5))").stage == Stage.PASSED


# Determinism --------------------------------------------------------------------------------------------------

PROGRAMS = [
    "def f(x): return list({'a', 'b', 'c', 'd', str(x)})\n",
    "import random\ndef f(x): return random.random(), random.getrandbits(64), hash('a')\n",
    "class A: pass\ndef f(x): return str(set(map(id, [A(), A()]))), str(A())\n",
    "def f(x): return [][x]\n",
    "import os\ndef f(x): os._exit(x)\n",
    "import os\ndef f(x): os.closerange(3, 60); os.close(100); return x\n",
    "raise ValueError('body')\n",
    "def f(x):\n    while True: pass\n",
    "def f(x): return 'x' * 10**6\n",
    "def f(x):\n    print(x, {1: object()}, object())\n    return x\n",
    "def f(x:\n",
    "import os\nos.write(100, b'hello')\ndef f(x): return x\n",
    "import ctypes\ndef f(x): ctypes.string_at(0)\n",
    "def f(x): return f(x)\n",
]


def test_the_same_task_gives_the_same_outcome():
    """Bug: hash or random seeds, addresses, or what ran before, differ between children, zygotes or runs."""
    limits = Limits(test_cpu_seconds=0.1, test_wall_seconds=10.0)
    tasks = [
        Task(program, ("assert f(1) == 1", "assert f(2) == 2"), "f", want_lines=i % 2 == 0)
        for i, program in enumerate(PROGRAMS)
    ]

    def outcomes(order, slots):
        with Sandbox(slots=slots, limits=limits) as judge:
            return {task: outcome.without_clock() for task, outcome in zip(order, judge.run(order), strict=True)}

    first, second = outcomes(tasks, 1), outcomes(tasks[::-1], 2)
    for task in tasks:
        assert first[task] == second[task], task.program
