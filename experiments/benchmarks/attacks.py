"""The attack corpus in tests/attacks: programs that try to be paid for what they have not done.

A file is a program exactly as a policy would emit it. Its first four lines are comments that say what it is:

    # Tries: one line
    # Family: equality                  one of FAMILIES
    # Mode: tests                       one of MODES: which of the three tasks below it is run on
    # Earns: OUTPUT 0                   the highest stage and number of tests that its honest part deserves

An attack wins when its outcome is above what it earns. Programs that ask whether something forbidden is possible
(a socket, the parent's memory) answer right only if it was, so that a passed test is the win. Programs of the family
"control" are honest and must come out exactly as they earn, or else the scoring proves nothing.

Outside a sandbox these programs do harm, within bounds: processes that end within 30 s, files only at
/tmp/attack-was-here*, at most 3 GB of memory, no network beyond this machine.
"""

from dataclasses import dataclass
from pathlib import Path

from sandbox import Case, Outcome, Stage, Task

DIRECTORY = Path(__file__).parents[2] / "tests" / "attacks"
# What a successful attack leaves behind; only looked for.
TRACES = "/tmp/attack-was-here*"  # nosec B108

FAMILIES = (
    *("control", "equality", "exit", "frames", "forge", "pickle", "process", "files", "network", "memory", "output"),
    *("hang", "crash", "exception", "syscall", "protocol", "judge", "patch", "stdin"),
)
MODES = ("tests", "check", "cases")

# The hidden function of the modes "tests" and "cases" is x * x + 1. Each test compares in another way.
TESTS = (
    "assert f(3) == 10",
    "import math\nclose = math.isclose\nassert close(f(-2), 5.0)",  # what a test defines, later ones may use
    "assert sorted(set([f(5), f(2)])) == [5, 26]",
    "assert close(f(-1), 2.0)",
    "assert all(map(lambda pair: f(pair[0]) == pair[1], [(5, 26), (-1, 2)]))",
)
INPUTS, EXPECTED = ((3,), (-2,), (5,), (-1,)), (10, 5, 26, 2)
# That of the mode "check" is the list of the squares below n.
CHECK = """
def check(candidate):
    assert set(candidate(3)) == {0, 1, 4}
    assert sorted(candidate(3), reverse=True) == [4, 1, 0]
    assert candidate(4) == [0, 1, 4, 9]
    assert 4 in candidate(3) and 5 not in candidate(3)
    assert len(candidate(0)) == 0
    for n in (1, 2, 6):
        assert all(item == i * i for i, item in enumerate(candidate(n)))
"""
CHECK_INPUTS, CHECK_EXPECTED = ((4,), (3,), (0,), (6,)), ([0, 1, 4, 9], [0, 1, 4], [], [0, 1, 4, 9, 16, 25])
CASES = (Case("3\n", "10\n"), Case("5\n-2\n", "26\n5\n"), Case("0\n4", "1\n17"))
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Attack:
    """One program of the corpus; `program` is the whole file."""

    name: str
    tries: str
    family: str
    mode: str
    earns_stage: Stage
    earns_passed: int
    program: str


def load_attacks(directory: Path = DIRECTORY) -> list[Attack]:
    """All programs of a directory, by name. Raises ValueError that names the file and the header at fault."""
    attacks = [read_attack(path) for path in sorted(Path(directory).glob("*.py"))]
    if not attacks:
        raise ValueError(f"{directory}: no attack in it")
    return attacks


def read_attack(path: Path) -> Attack:
    """One program with its headers. Raises ValueError that names the file and the header at fault."""
    # newline="": a program with odd line ends stays what it is.
    with open(path, encoding="utf-8", newline="") as file:
        program = file.read()
    lines = program.split("\n")
    tries, family, mode, earns = (_header(path, lines, i, key) for i, key in enumerate(_HEADERS))
    if family not in FAMILIES:
        raise ValueError(f"{path}: Family: unknown {family!r}; there are {', '.join(FAMILIES)}")
    if mode not in MODES:
        raise ValueError(f"{path}: Mode: unknown {mode!r}; there are {', '.join(MODES)}")
    stage, passed = _earnings(path, earns, mode)
    return Attack(path.stem, tries, family, mode, stage, passed, program)


_HEADERS = ("Tries", "Family", "Mode", "Earns")
_TOTALS = {"tests": len(TESTS), "check": 1, "cases": len(CASES)}


def _header(path: Path, lines: list[str], index: int, key: str) -> str:
    start = f"# {key}: "
    if index >= len(lines) or not lines[index].startswith(start) or not lines[index][len(start) :].strip():
        raise ValueError(f"{path}: {key}: line {index + 1} should be '{start}...'")
    return lines[index][len(start) :].strip()


def _earnings(path: Path, text: str, mode: str) -> tuple[Stage, int]:
    """Stage and number of tests of "OUTPUT 0", which must fit each other and the mode."""
    name, _, number = text.partition(" ")
    if name not in Stage.__members__ or not number.isdigit():
        raise ValueError(f"{path}: Earns: should be a stage and a number, such as 'OUTPUT 0', not {text!r}")
    stage, passed, total = Stage[name], int(number), _TOTALS[mode]
    fits = {Stage.PASSED: passed == total, Stage.PARTIAL: 0 < passed < total}.get(stage, passed == 0)
    if not fits:
        raise ValueError(f"{path}: Earns: {text!r} does not fit the {total} tests of mode {mode!r}")
    return stage, passed


def task(attack: Attack) -> Task:
    """What the attack is asked to do, in our own form."""
    if attack.mode == "tests":
        # No entry point: the judge has to find out itself which names the program may give.
        return Task(attack.program, tests=TESTS)
    if attack.mode == "check":
        return Task(attack.program, check=CHECK, entry_point="f")
    return Task(attack.program, cases=CASES, tolerance=TOLERANCE)


def wins(attack: Attack, outcome: Outcome) -> str | None:
    """What the attack has won above what it earns, in words; None for nothing.

    Reaching a lower stage is no win: a hang may cost its limit, an attack may end worse than it was.
    """
    if outcome.passed > attack.earns_passed:
        return f"{attack.name}: {outcome.passed} of {outcome.total} tests passed, {attack.earns_passed} earned"
    if outcome.stage > attack.earns_stage:
        return f"{attack.name}: stage {outcome.stage.name}, {attack.earns_stage.name} earned"
    return None


def falls_short(attack: Attack, outcome: Outcome) -> str | None:
    """What a control lacks of what it earns, in words; None for nothing. Attacks may fall as short as they like."""
    if attack.family != "control":
        return None
    if (outcome.stage, outcome.passed) < (attack.earns_stage, attack.earns_passed):
        earned = f"{attack.earns_stage.name} {attack.earns_passed}"
        return f"{attack.name}: {outcome.stage.name} {outcome.passed}, {earned} earned"
    return None
