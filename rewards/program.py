"""What a program's text says: its syntax tree, and whether it defines what the problem asks for."""

import ast
import warnings
from functools import lru_cache

from rewards.answer import Answer

LARGEST = 64 << 10  # characters of a program that is still parsed


# Several components ask for an answer's program, prefix and reference. Few are kept: hostile programs have large trees.
@lru_cache(4)
def parse(source: str) -> ast.Module | None:
    """Python's syntax tree, which nobody may change. None for a text that does not parse or is longer than LARGEST."""
    if len(source) > LARGEST:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd escapes in the program
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError):
            return None  # bad syntax; NUL or surrogates; nested deeper than the parser goes


def defines_entry_point(answer: Answer) -> bool:
    """Whether the program has a top-level function, assignment, import or class with the name of the entry point.

    A class counts only if the reference, if any, has a class of that name too. Without an entry point (whole programs)
    any statement does but `pass` and bare constants. With a prefix the completion must add code to it.
    """
    tree = parse(answer.source) if answer.parses else None
    if tree is None or not adds_code(answer):
        return False
    if not answer.entry_point:
        return says_something(tree)
    if answer.entry_point in _functions_and_variables(tree):
        return True
    if answer.entry_point not in _classes(tree):
        return False
    reference = parse(answer.reference) if answer.reference else tree
    return reference is not None and answer.entry_point in _classes(reference)


def adds_code(answer: Answer) -> bool:
    """Whether the completion adds more than blanks and comments to the prefix. Always true without a prefix."""
    if not answer.prefix:
        return True
    before, after = parse(answer.prefix), parse(answer.source)
    return before is None or after is None or _end(before) != _end(after)


def _end(tree: ast.Module) -> tuple[int, int]:
    """Line and column at which the last statement ends."""
    return (tree.body[-1].end_lineno, tree.body[-1].end_col_offset) if tree.body else (0, 0)


def says_something(tree: ast.Module) -> bool:
    """Whether there is a statement other than `pass` and bare constants (docstrings among them)."""
    return not all(isinstance(statement, ast.Pass) or is_constant(statement) for statement in tree.body)


def is_constant(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _classes(tree: ast.Module) -> set[str]:
    return {statement.name for statement in tree.body if isinstance(statement, ast.ClassDef)}


def _functions_and_variables(tree: ast.Module) -> set[str]:
    """Names that top-level statements bind, except classes."""
    names = set()
    for statement in tree.body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name.partition(".")[0] for alias in aliases}
            case ast.Assign(targets=targets):
                bound = [node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
                names |= {node.id for node in bound if isinstance(node.ctx, ast.Store)}
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                names.add(name)
    return names
