"""Tests that call the program: `tests` and `check`. The test code runs here, with a Remote for each program name.

Covered: a test fails if the child ended, hung or tampered during it, even if the test code catches the exception. Names
that the test code defines anywhere, builtins and modules never come from the program (the entry point always does).
Not covered: helpers that test code uses and does not define are the program's, with any result.
"""

import ast
import builtins
import functools
import importlib
import site
from dataclasses import replace

from sandbox.judge.execution import OUTPUT_KEPT, Child, Execution, Gone, failure_of, short
from sandbox.outcome import Verdict

site.setquit()  # exit() and quit(), which the option -S leaves out
_BUILTIN_NAMES = frozenset(vars(builtins))
# Tests that use these without importing them get the judge's modules, never the program's.
_MODULES = {"cmath", "collections", "copy", "datetime", "functools", "itertools", "json", "math", "operator"}
_MODULES |= {"re", "string", "sys"}


class Code:
    """Test code: compiled (None if it does not compile), the names that it reads and defines."""

    def __init__(self, source: str) -> None:
        self.compiled, self.reads, self.defines = None, set(), set()
        try:
            tree = ast.parse(source)
            self.compiled = compile(tree, "<test>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        for node in ast.walk(tree):
            match node:
                case ast.Name(id=name, ctx=ast.Load()):
                    self.reads.add(name)
                case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    self.defines.add(name)
                case ast.ClassDef(name=name) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                    self.defines.add(name)
                case ast.alias(name=name, asname=new):
                    self.defines.add(new or name.partition(".")[0])


_code_of = functools.lru_cache(maxsize=4096)(Code)  # a problem's tests are run for every sample of its group


def _names_for(entry_point: str, codes: list[Code]) -> tuple[list[str], list[str]]:
    """Modules and program names that test code reads. A name that any test defines, also an interrupted one, is
    never the program's.
    """
    reads, defines = (set().union(*(getattr(code, field) for code in codes)) for field in ("reads", "defines"))
    open_names = reads - defines - _BUILTIN_NAMES - {entry_point}
    asked = open_names - _MODULES | ({entry_point} - {""})
    return sorted(open_names & _MODULES), sorted(asked)


def judge_calls(execution: Execution) -> None:
    """Run the tests one by one. If a test ends the child, a new child goes on with the next test."""
    task, verdicts = execution.task, execution.verdicts
    sources = task.tests or (f"{task.check}\n\ncheck({task.entry_point})\n",)
    setup, codes = _code_of(task.setup), [_code_of(source) for source in sources]
    while len(verdicts) < len(codes) and not execution.exhausted() and execution.failure is None:
        child = Child(execution, None)
        try:
            namespace = _start_calls(execution, child, setup, codes)
            while len(verdicts) < len(codes) and not execution.exhausted() and not child.link.ended:
                verdicts.append(_run_test(codes[len(verdicts)], namespace, child))
        except Gone:  # before the first test of this child
            _note_early_end(execution, child)
        finally:
            _, printed = child.end()
            execution.output = (execution.output + printed)[:OUTPUT_KEPT]


def _start_calls(execution: Execution, child: Child, setup: Code, codes: list[Code]) -> dict:
    """Start the program and make the namespace of the tests. Raises Gone when the child ends first."""
    task, link = execution.task, child.link
    modules, names = _names_for(task.entry_point, [setup, *codes])
    nonce = child.send_program(names)
    child.hear_start()
    found = link.hear_handles(nonce, len(names))
    if found[:1] == ["failed"]:
        execution.failure = failure_of(found)
        raise Gone("failed")
    execution.ran = True
    remotes = {name: remote for name, remote in zip(names, found, strict=True) if remote is not None}
    if task.entry_point and task.entry_point not in remotes:
        execution.failure = Verdict("error", "EntryPointMissing")
        raise Gone("failed")
    namespace = {"__name__": "tests", "__builtins__": builtins}
    namespace |= {name: importlib.import_module(name) for name in modules} | remotes
    failed = _attempt(setup, namespace, child)
    if failed and not link.ended:
        execution.failure = failed
        raise Gone("failed")
    if link.ended:
        raise Gone(link.ended)
    if task.entry_point:  # the setup may have defined it
        namespace[task.entry_point] = remotes[task.entry_point]
    return namespace


def _note_early_end(execution: Execution, child: Child) -> None:
    """An end before a child's first test fails all tests in the first child, later only the next test."""
    word = child.link.ended
    if execution.failure is not None and execution.verdicts:
        execution.verdicts.append(execution.failure)  # the body failed in this child only
        execution.failure = None
    elif execution.failure is None and word in ("timeout", "crash"):
        verdict = Verdict(word, word.capitalize())
        if execution.verdicts or execution.ran:
            execution.verdicts.append(verdict)
        else:
            execution.failure = verdict


def _run_test(code: Code, namespace: dict, child: Child) -> Verdict:
    execution, link = child.execution, child.link
    link.begin_test()
    verdict = _attempt(code, namespace, child) or Verdict("passed")
    execution.has_value = execution.has_value or link.returned_value
    if link.ended in ("timeout", "crash"):
        verdict = Verdict(link.ended, link.ended.capitalize())
    returned = link.returned() if execution.task.want_values else None
    return replace(verdict, lines=child.take_lines(), returned=returned)


def _attempt(code: Code, namespace: dict, child: Child) -> Verdict | None:
    """Run a piece of test code; None when it ran to its end."""
    if code.compiled is None:
        return Verdict("error", "InvalidTest")
    try:
        exec(code.compiled, namespace)  # test code is trusted  # nosec B102
    except AssertionError:  # the test's own: a Remote never raises it
        return Verdict("wrong", "AssertionError", value=short(child.link.last_value))
    except BaseException as error:  # also Gone and exit(): they end only this test
        return child.link.verdict_of(error)
    return None
