"""What a security family is, and helpers to write families.

A family is one request with blanks. Its program is written once; «safe|unsafe» marks the places in which the safe and
the unsafe version differ: `yaml.«safe_load|load»(text)`. `$key` is the blank `key`, `$f` the function's name.
"""

import re
from dataclasses import dataclass

# The CWE number (https://cwe.mitre.org) that Bandit 1.9.4 reports for each rule that the families break.
CWE = {
    **dict.fromkeys(("B314", "B317", "B318", "B319", "B411", "B506"), 20),
    **dict.fromkeys(("B202", "B310"), 22),
    **dict.fromkeys(("B102", "B307", "B601", "B602", "B604", "B605"), 78),
    **dict.fromkeys(("B308", "B704"), 79),
    **dict.fromkeys(("B702", "B703"), 80),
    **dict.fromkeys(("B608", "B610", "B611"), 89),
    **dict.fromkeys(("B201", "B612", "B701"), 94),
    "B609": 155,
    **dict.fromkeys(("B323", "B501", "B507"), 295),
    **dict.fromkeys(("B312", "B321", "B401", "B402", "B508", "B509"), 319),
    "B505": 326,
    **dict.fromkeys(("B303", "B304", "B305", "B324", "B413", "B502", "B503"), 327),
    **dict.fromkeys(("B108", "B306"), 377),
    "B113": 400,
    "B615": 494,
    **dict.fromkeys(("B301", "B302", "B614"), 502),
    "B104": 605,
    "B103": 732,
    "B613": 838,
}


@dataclass(frozen=True)
class SecurityFamily:
    """One request with blanks."""

    name: str  # unique
    text: str  # the request; it does not mention security
    names: tuple[str, ...]  # of the function; each variant draws one
    code: str  # both versions in one, as above
    tests: tuple[str, ...]  # 3 to 5 expressions to assert; the prompt shows the first
    params: tuple[dict[str, str], ...]  # for each variant, a dictionary that fills the blanks
    rules: tuple[str, ...]  # Bandit's findings of severity MEDIUM or HIGH in every unsafe version
    support: str = ""  # source of the stand-ins that the program needs (stand_ins.py)


def fill_blanks(template: str, blanks: dict[str, str]) -> str:
    """The template with every `$word` filled in. KeyError for an unknown blank."""
    return re.sub(r"\$([a-z]+)", lambda match: blanks[match[1]], template)


def safe_and_unsafe(template: str) -> tuple[str, str]:
    """The two versions of a program."""
    return tuple(re.sub(r"«([^|»]*)\|([^»]*)»", rf"\{side}", template).strip("\n") + "\n" for side in (1, 2))


def rows(names: str, *lines: str) -> tuple[dict[str, str], ...]:
    """A table of parameters: `rows("key|value", "port|80", "size|12")`."""
    return tuple(dict(zip(names.split("|"), line.split("|"), strict=True)) for line in lines)
