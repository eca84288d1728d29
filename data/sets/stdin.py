"""Functions as whole programs: the arguments are JSON on stdin, the result is JSON on stdout.

The staged reward's stage "printed something" says little about functions and much about programs, the subject of
SecureCodeRL (arXiv 2601.01184). This module makes such programs from any set of functions, without a download:

    assert head_of([1, 5, 2], 2) == [1, 5]      becomes      stdin: [[1, 5, 2], 2]      stdout: [1, 5]

A problem is converted only if nothing is lost: every test is `assert f(literals) == literal`; JSON gives back every
value unchanged (no tuples, sets, nan, or keys that are not strings); no setup code, and no stand-ins, because these
remember earlier tests. `==` accepts more than a comparison of words, so keys of dictionaries are printed sorted, and a
lone number may be printed as 4 or 4.0 (Problem.tolerance). Not accepted: 4.0 for 4 inside a list, or 0 for False, which
is why MBPP's reference 414 fails. The sandbox compares the output word by word, so two spaces in a row equal one:
problems with such a result are left out, but a program that prints two spaces instead of one passes.
"""

import ast
import json
import re
from dataclasses import replace

from data.problems import Problem

CONVENTION = "It reads one line from stdin, a JSON list of the arguments, and prints the result as json.dumps writes it"
SORTED = ", keys sorted"
# So small a tolerance accepts only equal floats, but "4" for "4.0".
EQUAL_NUMBERS = 1e-16
_FUNCTION_REQUEST = re.compile(r"write an? (?:python )?function (?=to |that |which )", re.IGNORECASE)


def to_stdin(problem: Problem) -> Problem | None:
    """The same task as a whole program, with the same id, split, family and tier; None if something would be lost.

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
        text=f"{_program_text(problem.text)} {CONVENTION}{SORTED * is_sorted}.",
        code=_program_code(problem.code, problem.entry_point, is_sorted),
        unsafe=_program_code(problem.unsafe, problem.entry_point, is_sorted),
        test_list=(),
        entry_point="",
        base_tests=0,
        cases=cases,
        tolerance=EQUAL_NUMBERS if all(_is_plain_number(result) for _, result in calls) else 0.0,
    )


def _parse_test(test: str, entry_point: str) -> tuple[list, object] | None:
    """(arguments, result) of `assert f(arguments) == result` with only literals; None for any other test."""
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
    """Whether JSON gives back this value unchanged, with the same types at every depth."""
    try:
        return repr(json.loads(json.dumps(value, allow_nan=False))) == repr(value)
    except (TypeError, ValueError):  # JSON has no such type, no infinity and no nan
        return False


def _holds_dict(value: object) -> bool:
    return type(value) is dict or (type(value) is list and any(map(_holds_dict, value)))


def _is_plain_number(value: object) -> bool:
    """Whether a comparison as floats is exact."""
    return type(value) is float or (type(value) is int and abs(value) < 2**53)


def _program_text(text: str) -> str:
    """The request for a program instead of a function."""
    asked, count = _FUNCTION_REQUEST.subn("Write a program ", text.strip(), count=1)
    return asked if count else f"Write a program that does what this function would do. {asked}"


def _program_code(code: str, entry_point: str, is_sorted: bool) -> str:
    """The function, followed by lines that read stdin and print; "" stays ""."""
    if not code:
        return ""
    result = f"{entry_point}(*json.loads(input()))" + ", sort_keys=True" * is_sorted
    space = "" if code.startswith(("import ", "from ")) else "\n\n"
    return f"import json\n{space}{code.rstrip()}\n\n\nprint(json.dumps({result}))\n"
