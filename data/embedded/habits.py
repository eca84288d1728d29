"""Bad habits of programmers, applied to correct code: flaws for the base model's training text, and for tests.

*Logic* habits change the result. They work on a function's body (unindented source) and return None if they do not
apply. *Slips* make syntax or name errors, and *style* habits keep the result; both work on a whole function and always
apply.
"""

import re
from random import Random

from data.embedded.families.family import Family, Params, fill

# Logic: the result changes ------------------------------------------------------------------------------------


def print_result(body: str) -> str | None:
    """Prints the result instead of returning it."""
    head, last = split_last_line(body)
    return f"{head}{last.replace('return ', 'print(', 1)})" if last.startswith("return ") else None


def forget_return(body: str) -> str | None:
    """Computes the result, but does not return it."""
    head, last = split_last_line(body)
    if not last.startswith("return "):
        return None
    value = last.removeprefix("return ")
    return head.rstrip("\n") if value.isidentifier() and head else f"{head}result = {value}"


def return_in_loop(body: str) -> str | None:
    """Returns inside the loop, after the first iteration."""
    head, last = split_last_line(body)
    ends_with_loop = re.search(r"^for .*:\n(    .*\n)+\Z", head, re.M)
    return f"{head}    {last}" if last.startswith("return ") and ends_with_loop else None


def shift_comparison(body: str) -> str | None:
    """Strict comparison instead of non-strict, or the reverse: > for >=, <= for <."""
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
    """A wrong operator, such as plus for times or `or` for `and`."""
    for right, wrong in (
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
        if right in body:
            return body.replace(right, wrong, 1)
    return None


LOGIC = (print_result, forget_return, return_in_loop, shift_comparison, off_by_one, wrong_operator)

# Slips: the code breaks ---------------------------------------------------------------------------------------


def slip(source: str, rng: Random) -> str:
    """One syntax or name error in a whole function."""
    header, _, rest = source.partition("\n")
    argument = re.search(r"\((\w+)", header)[1]
    kinds = [
        header.removesuffix(":") + "\n" + rest,  # no colon
        header + "\n" + re.sub(rf"\b{argument}\b", argument + "s", rest, count=1),  # an undefined name
    ]
    if rest.rstrip().endswith((")", "]")):
        kinds.append(header + "\n" + rest.rstrip()[:-1] + "\n")  # no closing parenthesis or bracket
    if " == " in rest:
        kinds.append(header + "\n" + rest.replace(" == ", " = ", 1))  # an assignment for a comparison
    if "\n    return " in source:
        kinds.append(source.replace("\n    return ", "\nreturn ", 1))  # a return outside the function
    if re.search(r"\n +(for|if) .*:\n", source):
        kinds.append(re.sub(r"(\n +(?:for|if) .*):\n", r"\1\n", source, count=1))  # no colon after for or if
    return rng.choice([kind for kind in kinds if kind != source])


# Style: the result stays --------------------------------------------------------------------------------------


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


# Bodies of a family -------------------------------------------------------------------------------------------


def split_last_line(body: str) -> tuple[str, str]:
    head, newline, last = body.rpartition("\n")
    return head + newline, last


def good_bodies(family: Family, params: Params, arguments: tuple[str, ...]) -> list[str]:
    return [fill(body, params, arguments) for body in family.good]


def wrong_bodies(family: Family, params: Params, arguments: tuple[str, ...]) -> list[str]:
    """Every wrong body that the training text may hold: the family's own, and each logic habit on each good body."""
    good = good_bodies(family, params, arguments)
    own = [fill(body, params, arguments) for body in family.bad]
    spoiled = [habit(body) for body in good for habit in LOGIC]
    return [body for body in dict.fromkeys(own + spoiled) if body is not None and body not in good]
