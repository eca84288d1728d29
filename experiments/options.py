"""Command lines from flat dataclasses: each field is an option (rl/options.py), its help is the text of --help."""

import argparse
import dataclasses
import math
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from rl.options import nearest as nearest
from rl.options import option as option


def flag_of(name: str) -> str:
    """The option of a field: "from_" is --from, as `from` is a word of Python's own."""
    return "--" + name.rstrip("_").replace("_", "-")


def options_of(cls: type) -> list[dataclasses.Field]:
    """The fields of a dataclass that are options."""
    return [item for item in dataclasses.fields(cls) if "help" in item.metadata]


class _Parser(argparse.ArgumentParser):
    """argparse with errors of one line."""

    def error(self, message: str) -> NoReturn:
        fail(self.prog, message)


def parse(cls: type, arguments: Sequence[str] | None, program: str, description: str):
    """An instance of the dataclass `cls` from command-line arguments; exits with status 2 on a bad one."""
    return parse_all((cls,), arguments, program, description)[0]


def parse_all(
    classes: Sequence[type],
    arguments: Sequence[str] | None,
    program: str,
    description: str,
    *,
    real: bool = False,
    defaults: dict | None = None,
    without: Collection[str] = (),
    show_rare: bool = True,
    epilog: str = "",
    title: str = "general",
    explain: Callable[[str], str] = lambda flag: "",
) -> list:
    """One instance of each dataclass from one command line; exits with status 2 on a bad option.

    real       take the defaults for real models
    defaults   other defaults, by field; they come before those of the fields
    without    groups whose options are unknown here; their fields keep their defaults
    show_rare  whether --help lists rare options, too
    title      of the group "general" in --help
    explain    what the error says of an unknown option; "" names the nearest known one
    """
    parser = _Parser(
        prog=program,
        description=description,
        epilog=epilog,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    groups: dict[str, argparse._ArgumentGroup] = {}
    known = [item for cls in classes for item in options_of(cls) if item.metadata["group"] not in without]
    for item in known:
        name = title if item.metadata["group"] == "general" else item.metadata["group"]
        if name not in groups:
            groups[name] = parser.add_argument_group(name)
        default = item.metadata["real"] if real and item.metadata["real"] is not None else item.default
        _add(groups[name], item, (defaults or {}).get(item.name, default), show_rare)
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        flag = unknown[0].partition("=")[0]
        if not flag.startswith("-"):
            fail(program, f"unexpected {flag!r}: a switch takes no value, it is --x or --no-x")
        why = explain(flag) or f"unknown option {flag!r}{nearest(flag, [flag_of(item.name) for item in known])}"
        fail(program, f"{why}; see --help for all")
    values = vars(given)
    made = [cls(**{item.name: values[item.name] for item in options_of(cls) if item.name in values}) for cls in classes]
    with bad_input_is_one_line(program):
        for options in made:
            check_fields(options)
    return made


def _add(group: argparse._ArgumentGroup, item: dataclasses.Field, default: object, show_rare: bool) -> None:
    """One field as an argument."""
    more, flag = item.metadata, flag_of(item.name)
    text = more["help"] + (f": {', '.join(map(str, more['choices']))}" if more["choices"] else "")
    if default not in ("", None) and not more["positional"] and more["kind"] is not bool:
        text += f" (default: {default}" + (f"; real models: {more['real']})" if more["real"] is not None else ")")
    if more["kind"] is bool and (default or more["real"]):
        text += f" (default: {'on' if default else 'off'}" + ("; real models: on)" if more["real"] else ")")
    text = text.replace("%", "%%") if show_rare or not more["rare"] else argparse.SUPPRESS
    if more["positional"]:
        group.add_argument(item.name, type=more["kind"], help=text, nargs="?" if item.default is None else None)
    elif more["kind"] is bool:
        group.add_argument(flag, dest=item.name, action=argparse.BooleanOptionalAction, default=default, help=text)
    else:
        kind = more["kind"]
        group.add_argument(flag, dest=item.name, type=kind, default=default, metavar=kind.__name__.upper(), help=text)


def check_fields(options: object) -> None:
    """ValueError, one line, for the first option of a wrong type, unknown value or out of its range."""
    for item in options_of(type(options)):
        value, more, flag = getattr(options, item.name), item.metadata, flag_of(item.name)
        allowed = (int, float) if more["kind"] is float else more["kind"]
        if value is None and item.default is None:
            continue
        if not isinstance(value, allowed) or isinstance(value, bool) != (more["kind"] is bool):
            raise ValueError(f"{flag}: {value!r} is no {more['kind'].__name__}")
        if more["choices"]:
            check_choice(flag.removeprefix("--"), value, more["choices"])
        if more["least"] is not None and not more["least"] <= value < math.inf:
            raise ValueError(f"{flag} {value}: needs at least {more['least']}, and finite")
        if more["above"] is not None and not more["above"] < value < math.inf:
            raise ValueError(f"{flag} {value}: needs to be above {more['above']} and finite")
        if more["most"] is not None and value > more["most"]:
            raise ValueError(f"{flag} {value}: needs at most {more['most']}")


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """ValueError that names what was asked, what there is, and the nearest match."""
    if value not in choices:
        raise ValueError(f"--{name}: unknown {value!r}; there are {', '.join(choices)}{nearest(value, choices)}")


@contextmanager
def bad_input_is_one_line(program: str) -> Iterator[None]:
    """Turns a ValueError inside into one line on stderr and exit status 2. For reading input only."""
    try:
        yield
    except ValueError as error:
        fail(program, str(error))


def fail(program: str, message: str) -> NoReturn:
    print(f"{program}: error: {message}", file=sys.stderr)
    raise SystemExit(2)
