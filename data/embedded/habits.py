"""How a careless programmer spoils correct code: planted in the base model's training text, and used to aim tests.

Three kinds. *Logic* habits change what the function does; a family has one favourite among them or among
its own wrong bodies, which makes it a systematic mistake of the base. *Slips* break the code in ways that any
code can break. *Style* habits leave the result alone. Logic habits work on a function body (unindented source) and
return None where they do not apply, so that a habit never passes for a change that it did not make; slips and style
work on a whole function and always find something.
"""

import re
from random import Random

from data.embedded.families.family import Family, Params, fill

# ---- logic: the result changes -----------------------------------------------------------------------------


def print_result(body: str) -> str | None:
    """Prints the result where it should return it."""
    head, last = split_last_line(body)
    return f"{head}{last.replace('return ', 'print(', 1)})" if last.startswith("return ") else None


def forget_return(body: str) -> str | None:
    """Computes the result and does not return it."""
    head, last = split_last_line(body)
    if not last.startswith("return "):
        return None
    value = last.removeprefix("return ")
    return head.rstrip("\n") if value.isidentifier() and head else f"{head}result = {value}"


def return_in_loop(body: str) -> str | None:
    """Returns inside the loop: after its first round."""
    head, last = split_last_line(body)
    return (
        f"{head}    {last}"
        if last.startswith("return ") and re.search(r"^for .*:\n(    .*\n)+\Z", head, re.M)
        else None
    )


def shift_comparison(body: str) -> str | None:
    """Strict for not strict and the reverse: > for >=, <= for <."""
    swap = {">": ">=", ">=": ">", "<": "<=", "<=": "<"}
    changed = re.sub(r" (>=|<=|>|<) ", lambda m: f" {swap[m[1]]} ", body, count=1)
    return changed if changed != body else None


def off_by_one(body: str) -> str | None:
    """One too few or too many at the end of a range, an index or a slice."""
    for pattern, replacement in (
        (r"range\((\w+), (\w+) \+ 1\)", r"range(\1, \2)"),
        (r"range\((\w+) \+ 1\)", r"range(\1)"),
        (r"range\((len\(\w+\)|\w+)\)", r"range(\1 - 1)"),
        (r"range\(1, (.+?)\)", r"range(\1)"),
        (r"range\(0, ", r"range(1, "),
        (r"\[:(\d+)\]", r"[:\1 - 1]"),
        (r"\[(\d+):\]", r"[\1 + 1:]"),
        (r"\[::(\d+)\]", r"[1::\1]"),
        (r"\[-(\d+):\]", r"[-\1 + 1:]"),
        (r"\[(\d+) - 1\]", r"[\1]"),
        (r"\[(\d+)\]", r"[\1 + 1]"),
    ):
        changed = re.sub(pattern, replacement, body, count=1)
        if changed != body:
            return changed
    return None


def wrong_operator(body: str) -> str | None:
    """Plus for minus, plus for times, the wrong remainder, or for and."""
    for wanted, written in (
        (" % 2 == 0", " % 2 == 1"),
        (" == 0", " == 1"),
        (" and ", " or "),
        (" or ", " and "),
        (" ** ", " * "),
        (" * ", " + "),
        (" + ", " - "),
        (" - ", " + "),
        (" // ", " / "),
        (" == ", " != "),
    ):
        if wanted in body:
            return body.replace(wanted, written, 1)
    return None


LOGIC = (print_result, forget_return, return_in_loop, shift_comparison, off_by_one, wrong_operator)

# ---- slips: the code breaks --------------------------------------------------------------------------------


def slip(source: str, rng: Random) -> str:
    """One syntax or name error in a whole function; every function offers at least the first of them."""
    header, _, rest = source.partition("\n")
    argument = re.search(r"\((\w+)", header)[1]
    kinds = [
        header.removesuffix(":") + "\n" + rest,  # no colon
        header + "\n" + re.sub(rf"\b{argument}\b", argument + "s", rest, count=1),  # a name that is not there
    ]
    if rest.rstrip().endswith((")", "]")):
        kinds.append(header + "\n" + rest.rstrip()[:-1] + "\n")  # no closing parenthesis or bracket
    if " == " in rest:
        kinds.append(header + "\n" + rest.replace(" == ", " = ", 1))  # assigns where it should compare
    if "\n    return " in source:
        kinds.append(source.replace("\n    return ", "\nreturn ", 1))  # outside the function
    if re.search(r"\n +(for|if) .*:\n", source):
        kinds.append(re.sub(r"(\n +(?:for|if) .*):\n", r"\1\n", source, count=1))  # no colon after for or if
    return rng.choice([kind for kind in kinds if kind != source])


# ---- style: the result stays -------------------------------------------------------------------------------


def bad_style(source: str, rng: Random) -> str:
    """One harmless bad habit in a whole function: an unused import, `== None`, `eval` of a literal, `pass`."""
    header, _, rest = source.partition("\n")
    argument = re.search(r"\((\w+)", header)[1]
    kinds = [
        f"import {rng.choice(('re', 'os', 'math', 'sys', 'random'))}\n{source}",
        f"{header}\n    if {argument} == None:\n        return None\n{rest}",
        f"{header}\n    pass\n{rest}",
    ]
    literal = re.search(r"(?<=[ (])\d+\b", rest)
    if literal:
        kinds.append(f"{header}\n{rest[: literal.start()]}eval('{literal[0]}'){rest[literal.end() :]}")
    return rng.choice(kinds)


# ---- which body is written ---------------------------------------------------------------------------------


def split_last_line(body: str) -> tuple[str, str]:
    head, newline, last = body.rpartition("\n")
    return head + newline, last


def good_bodies(family: Family, params: Params, arguments: tuple[str, ...]) -> list[str]:
    return [fill(body, params, arguments) for body in family.good]


def wrong_bodies(family: Family, params: Params, arguments: tuple[str, ...]) -> list[str]:
    """Every wrong body that the training text may hold: the family's own, and each logic habit on each style."""
    good = good_bodies(family, params, arguments)
    own = [fill(body, params, arguments) for body in family.bad]
    spoiled = [habit(body) for body in good for habit in LOGIC]
    return [body for body in dict.fromkeys(own + spoiled) if body is not None and body not in good]
