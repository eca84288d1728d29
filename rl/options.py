"""How a command or an algorithm declares its options: a dataclass whose fields carry help, choices and range."""

import difflib
from collections.abc import Sequence
from dataclasses import field


def option(
    default: object,
    help: str,
    group: str = "general",
    *,
    choices: tuple = (),
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    real: object = None,
    rare: bool = False,
    positional: bool = False,
    kind: type | None = None,
) -> object:
    """A dataclass field with its one-line help and the group that --help lists it in.

    choices     the values that are allowed; () is any
    least/most  bounds that belong to the range; `above` is a lower bound that does not
    real        the default for real models, where it differs from the small embedded model's
    rare        --help of a command with many options leaves it out
    positional  given without its name
    kind        the type, where the default is None
    """
    return field(
        default=default,
        metadata={
            "help": help,
            "group": group,
            "choices": choices,
            "least": least,
            "most": most,
            "above": above,
            "real": real,
            "rare": rare,
            "positional": positional,
            "kind": kind or type(default),
        },
    )


def nearest(value: str, choices: Sequence[str]) -> str:
    """ "; did you mean ..?" or nothing."""
    match = difflib.get_close_matches(value, choices, n=1)
    return f"; did you mean {match[0]}?" if match else ""
