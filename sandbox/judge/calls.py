"""Tests that call the program: `tests` and `check`. The test code runs here, with stand-ins for what is the program's.

Covered: a test during which the child died, hung or cheated fails, whatever the test code does with the exception. A
name that test code makes anywhere is never taken from the program, nor is a builtin or a module (but for the entry
point, which always is).
Not covered: helpers that test code uses and does not make are the program's, and say what they like.
"""

import ast
import builtins
import functools
import importlib
import reprlib
import site
from dataclasses import replace

from sandbox.judge.remote import Gone
from sandbox.judge.trial import OUTPUT_KEPT, Child, Record, failure_of
from sandbox.outcome import Verdict

site.setquit()  # exit() and quit(), which the option -S leaves out
_BUILTIN_NAMES = frozenset(vars(builtins))
# Modules that tests use though only the program imports them: they get the judge's own, never the program's.
_MODULES = {"cmath", "collections", "copy", "datetime", "functools", "itertools", "json", "math", "operator"}
_MODULES |= {"re", "string", "sys"}


class Code:
    """One piece of test code: compiled (None if it does not compile), names that it reads, names that it makes."""

    def __init__(self, source: str) -> None:
        self.compiled, self.reads, self.makes = None, set(), set()
        try:
            tree = ast.parse(source)
            self.compiled = compile(tree, "<test>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                self.reads.add(node.id)
            else:
                self.makes.update(_made_by(node))


_code_of = functools.lru_cache(maxsize=4096)(Code)  # a problem's tests are run for every sample of its group


def _names_for(entry_point: str, codes: list[Code]) -> tuple[list[str], list[str]]:
    """Names that test code reads and nowhere makes: modules, and those that the program may have to provide.

    A name that any test makes is never the program's: it would become so when the test that makes it is cut short.
    """
    reads, makes = (set().union(*(getattr(code, field) for code in codes)) for field in ("reads", "makes"))
    open_names = reads - makes - _BUILTIN_NAMES - {entry_point}
    asked = open_names - _MODULES | ({entry_point} - {""})
    return sorted(open_names & _MODULES), sorted(asked)


def _made_by(node: ast.AST) -> list[str]:
    """Names that one node of test code gives a meaning to."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.arg(arg=name):
            return [name]
        case ast.alias(name=name, asname=new):
            return [new or name.partition(".")[0]]
        case ast.ExceptHandler(name=str(name)):
            return [name]
    return []


def judge_calls(record: Record) -> None:
    """Run the tests one by one. One that ends the child costs that test; a new child goes on with the next."""
    task = record.task
    sources = task.tests or (f"{task.check}\n\ncheck({task.entry_point})\n",)
    setup, codes = _code_of(task.setup), [_code_of(source) for source in sources]
    while len(record.verdicts) < len(codes) and not record.exhausted() and record.failure is None:
        child = Child(record, None)
        try:
            namespace = _start_calls(record, child, setup, codes)
            while len(record.verdicts) < len(codes) and not record.exhausted():
                record.verdicts.append(_run_test(codes[len(record.verdicts)], namespace, child))
                if child.link.ended:
                    break
        except Gone:
            # The child ended before the first test of this start.
            _note_early_end(record, child)
        finally:
            _, printed = child.end()
            record.output = (record.output + printed)[:OUTPUT_KEPT]


def _start_calls(record: Record, child: Child, setup: Code, codes: list[Code]) -> dict:
    """From the program's text to the namespace of the tests. Raises Gone when the child ends on the way."""
    task, link = record.task, child.link
    modules, names = _names_for(task.entry_point, [setup, *codes])
    nonce = child.hand_over(names)
    child.hear_start()
    link.begin_test()
    found = link.hear_handles(nonce, len(names))
    if found[:1] == ["failed"]:
        record.failure = failure_of(found)
        raise Gone("failed")
    record.ran = True
    remotes = dict(zip(names, found, strict=True))
    entry_point = remotes.get(task.entry_point)
    if task.entry_point and entry_point is None:
        record.failure = Verdict("error", "EntryPointMissing")
        raise Gone("failed")
    namespace = {"__name__": "tests", "__builtins__": builtins}
    namespace |= {name: importlib.import_module(name) for name in modules}
    namespace |= {name: remote for name, remote in remotes.items() if remote is not None}
    failed = _attempt(setup, namespace, child)
    if failed and not link.ended:
        record.failure = failed
        raise Gone("failed")
    if link.ended:
        raise Gone(link.ended)
    if entry_point is not None:
        namespace[task.entry_point] = entry_point
    return namespace


def _note_early_end(record: Record, child: Child) -> None:
    """What an end before the first test means: at the first start for all tests, later for the next test only."""
    word = child.link.ended
    if record.failure is not None and record.verdicts:
        record.verdicts.append(record.failure)  # a body that does not do the same twice
        record.failure = None
    elif record.failure is None and word in ("timeout", "crash"):
        verdict = Verdict(word, word.capitalize())
        if record.verdicts or record.ran:
            record.verdicts.append(verdict)
        else:
            record.failure = verdict


def _run_test(code: Code, namespace: dict, child: Child) -> Verdict:
    link = child.link
    link.begin_test()
    link.last_value, link.has_returned, link.returned_value = None, False, False
    verdict = _attempt(code, namespace, child) or Verdict("passed")
    child.record.value = child.record.value or link.returned_value
    if link.ended in ("timeout", "crash"):
        verdict = Verdict(link.ended, link.ended.capitalize())
    lines = child.take_lines()
    if lines is not None:
        verdict = replace(verdict, lines=lines)
    return replace(verdict, returned=link.returned()) if child.record.task.want_values else verdict


def _attempt(code: Code, namespace: dict, child: Child) -> Verdict | None:
    """Run a piece of test code; None when it came to its end."""
    link = child.link
    if code.compiled is None:
        return Verdict("error", "InvalidTest")
    try:
        # Test code is trusted; the program's code never comes here.
        exec(code.compiled, namespace)  # nosec B102
    except AssertionError:  # the test's own: a stand-in never raises it
        return Verdict("wrong", "AssertionError", value=short(link.last_value))
    except BaseException as error:  # whatever test code raises (also Gone, exit()) is the end of this test only
        line, column = link.place_of(error)
        return Verdict("error", link.name_of(error), line=line, column=column)
    return None


_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 60


def short(value: object) -> str:
    """A short repr. Only values that the decoder built come here, so no code of the program runs."""
    try:
        return _repr.repr(value)[:200]
    except (ValueError, RecursionError, MemoryError):  # a number with too many digits, too deep a list
        return f"<{type(value).__name__}>"
