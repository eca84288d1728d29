"""Functions turned into whole programs: the arguments as JSON on stdin, the result as JSON on stdout.

The staged reward's rung "printed something" says little about functions and much about programs (SecureCodeRL, arXiv
2601.01184, is about such programs). This makes problems of that kind from any set of functions, without a download:

    assert head_of([1, 5, 2], 2) == [1, 5]      becomes      stdin: [[1, 5, 2], 2]      stdout: [1, 5]

Only where nothing is lost on the way: every test is `assert f(literals) == literal`; every value is one that JSON gives
back as it was (so no tuple, no set, no key but strings, no nan); no test needs code of its own, and no stand-ins, which
remember earlier tests. `==` forgives more than a comparison of words does, so keys of dictionaries are printed sorted,
and a lone number may be printed as 4 or 4.0 (Problem.tolerance). Not forgiven is 4.0 for 4 inside a list, or 0 for
False: one of MBPP's references prints that, and fails (414). What is printed is compared word by word
(cases.py), so results with two spaces in a row inside a string, which would pass for one, are left out;
a program that prints two spaces where one is right passes.
"""

import ast
import json
import math
import re
from dataclasses import replace

from data.problems import Problem

CONVENTION = "It reads one line from stdin, a JSON list of the arguments, and prints the result as json.dumps writes it"
SORTED = ", keys sorted"
# As a tolerance: only floats that are equal are so near to each other, but "4" and "4.0" are.
EQUAL_NUMBERS = 1e-16
_REQUEST = re.compile(r"write an? (?:python )?function (?=to |that |which )", re.IGNORECASE)


def to_stdin(problem: Problem) -> Problem | None:
    """The same task as a whole program, with the same id, split, family and tier; None where something would be lost.

    Example: "Write a function to double a number." with `assert f(2) == 4` becomes "Write a program to double a
    number. It reads ..." with the case ("[2]\\n", "4\\n").
    """
    if not problem.test_list or problem.test_setup_code or problem.support:
        return None
    calls = [_parse_test(test, problem.entry_point) for test in problem.test_list]
    if not all(call is not None and _survives(call[0]) and _survives(call[1]) for call in calls):
        return None
    is_sorted = any(_holds_dict(result) for _, result in calls)
    cases = tuple(
        (f"{json.dumps(arguments)}\n", f"{json.dumps(result, sort_keys=is_sorted)}\n") for arguments, result in calls
    )
    if any("  " in stdout for _, stdout in cases):
        return None
    return replace(
        problem,
        text=f"{_request(problem.text)} {CONVENTION}{SORTED * is_sorted}.",
        code=_program(problem.code, problem.entry_point, is_sorted),
        unsafe=_program(problem.unsafe, problem.entry_point, is_sorted),
        test_list=(),
        entry_point="",
        base_tests=0,
        cases=cases,
        tolerance=EQUAL_NUMBERS if all(_is_plain_number(result) for _, result in calls) else 0.0,
    )


def _parse_test(test: str, entry_point: str) -> tuple[list, object] | None:
    """(arguments, result) of `assert f(arguments) == result`, all of them literals; None for any other test."""
    match ast.parse(test).body:
        case [ast.Assert(test=ast.Compare(left=ast.Call() as call, ops=[ast.Eq()], comparators=[result]), msg=None)]:
            if not isinstance(call.func, ast.Name) or call.func.id != entry_point or call.keywords:
                return None
            try:
                return [ast.literal_eval(argument) for argument in call.args], ast.literal_eval(result)
            except ValueError:  # not a literal
                return None
    return None


def _survives(value: object) -> bool:
    """Whether JSON gives this value back as it is: the types too, all the way down."""
    if type(value) is list:
        return all(map(_survives, value))
    if type(value) is dict:
        return all(type(key) is str and _survives(item) for key, item in value.items())
    return value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value))


def _holds_dict(value: object) -> bool:
    return type(value) is dict or (type(value) is list and any(map(_holds_dict, value)))


def _is_plain_number(value: object) -> bool:
    """Whether comparing it as a float loses nothing."""
    return type(value) is float or (type(value) is int and abs(value) < 2**53)


def _request(text: str) -> str:
    """The request, for a program instead of a function."""
    asked, count = _REQUEST.subn("Write a program ", text.strip(), count=1)
    return asked if count else f"Write a program that does what this function would do. {asked}"


def _program(code: str, entry_point: str, is_sorted: bool) -> str:
    """The function with a main part that reads and prints; "" stays ""."""
    if not code:
        return ""
    result = f"{entry_point}(*json.loads(input()))" + ", sort_keys=True" * is_sorted
    space = "" if code.startswith(("import ", "from ")) else "\n\n"
    return f"import json\n{space}{code.rstrip()}\n\n\nprint(json.dumps({result}))\n"
