"""Which parts of a program no test executed, from the line numbers that Python reported.

StepCoder (arXiv 2402.01391, "fine-grained optimization") gives such parts no credit. Statements count, not lines:

    a statement          executed if any of its lines is
    a compound one       its head (decorators to colon) likewise; `else:` and `finally:` go with the block behind them;
                         `except` and `case` count once they are tried
    blank line, comment, docstring   never executed
    the module body      executed by every test
"""

import ast

from rewards.answer import Answer
from rewards.places import BLANKS, line_runs, split_lines
from rewards.program import is_constant, parse


def unexecuted(answer: Answer) -> list[tuple[int, int]]:
    """Ranges of the completion: whole lines of the program, line ends included, that no test executed.

    [] if nothing was executed or the program does not parse. ValueError if the outcome has no lines (Task.want_lines).
    """
    if answer.outcome.lines is None:
        raise ValueError("unexecuted: the outcome has no executed lines; judge with Task(want_lines=True)")
    tree = parse(answer.source)
    if tree is None or not answer.outcome.lines:
        return []
    executed: set[int] = set()
    try:
        _add_block(tree.body, frozenset(answer.outcome.lines), executed)
    except RecursionError:  # blocks nested too deep: a hostile program
        return []
    executed -= _silent_lines(answer.source, tree)
    unseen = set(range(1, len(split_lines(answer.source)) + 1)) - executed
    return [(start, end) for start, end, is_unseen in line_runs(answer, unseen) if is_unseen]


def _add_block(block: list[ast.stmt], lines: frozenset[int], executed: set[int]) -> bool:
    """Add the lines of the block's executed statements; return whether there is one. Python reported `lines`."""
    ran = [_add_statement(statement, lines, executed) for statement in block]
    if not any(ran):
        return False
    for statement in block:
        if _is_declaration(statement):
            executed |= _lines_of(statement)
    return True


def _add_statement(statement: ast.stmt, lines: frozenset[int], executed: set[int]) -> bool:
    if is_constant(statement):  # such as a docstring
        return False
    blocks = _blocks(statement)
    if not blocks:
        own = _lines_of(statement)
        if own & lines:
            executed |= own
        return bool(own & lines)
    ran, begin = False, _first_line(statement)
    for block in blocks:  # the head of a match belongs to its first case, which is always tried
        head, begin = set(range(begin, _first_line(block[0]))), block[-1].end_lineno + 1
        if _add_block(block, lines, executed) or head & lines:
            executed |= head
            ran = True
    return ran


def _blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    """The blocks of a compound statement in the order of the text; [] for a simple statement."""
    if isinstance(statement, ast.Match):
        return [case.body for case in statement.cases]
    handlers = [handler.body for handler in getattr(statement, "handlers", [])]
    blocks = [getattr(statement, field, []) for field in ("body", "orelse", "finalbody")]
    return [block for block in (blocks[0], *handlers, *blocks[1:]) if block]


def _is_declaration(statement: ast.stmt) -> bool:
    """Python makes no code, and so reports no line, for these: they count with their block."""
    bare = isinstance(statement, ast.AnnAssign) and statement.value is None
    return bare or isinstance(statement, (ast.Global, ast.Nonlocal))


def _first_line(statement: ast.stmt) -> int:
    decorators = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])


def _lines_of(statement: ast.stmt) -> set[int]:
    return set(range(_first_line(statement), statement.end_lineno + 1))


def _silent_lines(source: str, tree: ast.Module) -> set[int]:
    """Blank lines and comments, but not the lines of a string that look like these."""
    silent = set()
    for line, (start, end) in enumerate(split_lines(source), 1):
        text = source[start:end].strip(BLANKS)
        if not text or text.startswith("#"):
            silent.add(line)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Constant, ast.JoinedStr)):
            silent -= set(range(node.lineno + 1, node.end_lineno + 1))
    return silent
