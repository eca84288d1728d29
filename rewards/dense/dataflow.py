"""Data flow: does the program compute its values from the same others as the reference? A term of arXiv 2605.21180.

The paper takes the data-flow match of CodeBLEU (Ren et al. 2020, arXiv 2009.10297, section 3.3): the share of the
reference's edges that the program has too, with variables numbered in order of appearance. Our edges:

    c = a + b      c from a and b; also `c += b` (c from b and c), `for c in a`, `with a as c`, `c[k] = a`, `c.add(a)`
    return c       the result from c; also `yield`

As in CodeBLEU, names that the program does not bind (len, sorted) are no variables, and scopes and the order of
statements do not matter. We differ in three ways, so that edges without the reference's logic earn nothing:
 - No edge for a mere use of a variable, such as `x` on a line by itself; edges of the result instead.
 - Each edge counts once, and matches are divided by the larger of the two numbers of edges: otherwise a text with all
   possible edges would match fully.
 - No edges of code that the entry point does not reach: behind a return, under `if False`, at the top level but never
   mentioned. Not covered: code that is unreachable for a reason outside the syntax (`if 1 > 2`).
"""

import ast
from functools import lru_cache

from rewards.answer import Answer, Value
from rewards.places import is_sum, per_token_value, placed
from rewards.program import parse

Edge = tuple[int, tuple[int, ...]]  # a variable's number (or RESULT), and the numbers of its sources, ascending

RESULT = -1
MOST_NODES = 2000  # of a syntax tree; many more could take seconds

_ENDS = (ast.Return, ast.Raise, ast.Break, ast.Continue)


def dataflow(answer: Answer, *, per_token: float = 0) -> Value:
    """max(0, match - 0.5), spread over the program: in [0, 0.5].

    0 if the program does not parse, or if program or reference is too large or nested too deep.
    per_token=1, the paper's form: each token of the program earns this. The total grows with length.
    ValueError without a reference, or for per_token=1 if the tokens are unknown.
    """
    summed = is_sum(per_token, "dataflow")
    if not answer.reference:
        raise ValueError("dataflow: the problem has no reference solution")
    value = max(0.0, match(answer) - 0.5) if answer.parses else 0.0
    return per_token_value(answer, [(*answer.program, value)]) if summed else placed(value, *answer.program)


def match(answer: Answer) -> float:
    """Shared edges / the larger number of edges, in [0, 1]; 0 if the reference has none."""
    expected = _reference_edges(answer.reference, answer.entry_point)
    found = edges(answer.source, answer.entry_point) if expected else frozenset()
    return len(expected & found) / max(len(expected), len(found), 1)


def edges(source: str, entry_point: str) -> frozenset[Edge]:
    """The data flow of all code that the entry point reaches ("": the whole program), variables numbered in order.

    Example: `def f(a, b): c = a + b; return c` has (2, (0, 1)) and (RESULT, (2,)). No edges for a text that does not
    parse or has more than MOST_NODES nodes.
    """
    tree = parse(source)
    if tree is None:
        return frozenset()
    try:
        nodes = [node for statement in _reached(tree, entry_point) for node in _live(statement)]
        return _numbered(nodes) if len(nodes) <= MOST_NODES else frozenset()
    except RecursionError:  # nested too deep: a hostile program
        return frozenset()


_reference_edges = lru_cache(maxsize=1024)(edges)  # every answer of a group and every epoch needs the same


def _numbered(nodes: list[ast.AST]) -> frozenset[Edge]:
    """The nodes' edges, each variable as its number in order of appearance."""
    bound = {name for node in nodes if (name := _binds(node))}
    names = [_binds(node) or getattr(node, "id", None) for node in nodes]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(name for name in names if name in bound))}
    found = set()
    for node in nodes:
        for target, sources in _edges_of(node):
            variables = tuple(sorted({numbers[name] for name in sources if name in bound}))
            if variables and (target is None or target in bound):
                found.add((RESULT if target is None else numbers[target], variables))
    return frozenset(found)


def _binds(node: ast.AST) -> str | None:
    """The variable to which a node gives a value, if any."""
    match node:
        case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
            return name
    return None


def _edges_of(node: ast.AST) -> list[tuple[str | None, list[str]]]:
    """The edges at this node: (name, or None for the result; names that are read)."""
    match node:
        case ast.Assign(targets=targets, value=value):
            return [edge for target in targets for edge in _computed(target, value)]
        case ast.AugAssign(target=target, value=value):
            return [(name, [name, *read]) for name, read in _computed(target, value)]
        case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
            return _computed(target, value)
        case ast.For() | ast.AsyncFor() | ast.comprehension():
            return _computed(node.target, node.iter)
        case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
            return _computed(target, value)
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=target), args=arguments)):
            return [edge for argument in arguments for edge in _computed(target, argument)]
        case ast.Return(value=ast.expr() as value) | ast.Yield(value=ast.expr() as value) | ast.YieldFrom(value=value):
            return [(None, _read(value))]
    return []


def _computed(target: ast.expr, value: ast.expr) -> list[tuple[str | None, list[str]]]:
    """`a, b = c, d` pair by pair; otherwise every name of the target from all names of the value."""
    match target, value:
        case (ast.Tuple() | ast.List(), ast.Tuple() | ast.List()) if len(target.elts) == len(value.elts):
            pairs = zip(target.elts, value.elts, strict=True)
            return [edge for left, right in pairs for edge in _computed(left, right)]
        case (ast.Tuple() | ast.List(), _):
            return [edge for left in target.elts for edge in _computed(left, value)]
    while isinstance(target, (ast.Subscript, ast.Attribute, ast.Starred)):  # `d[k] = v` changes d
        target = target.value
    return [(target.id, _read(value))] if isinstance(target, ast.Name) else []


def _read(value: ast.expr) -> list[str]:
    return [node.id for node in _live(value) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]


def _live(node: ast.AST) -> list[ast.AST]:
    """The node and all nodes below, in the order of the text, except behind a return or under a false condition."""
    nodes, skipped = [node], ""
    if isinstance(node, (ast.If, ast.While, ast.IfExp)) and isinstance(node.test, ast.Constant):
        skipped = "orelse" if node.test.value else "body"
    for field, value in ast.iter_fields(node):
        if field == skipped:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                nodes += _live(child)
            if isinstance(child, _ENDS):
                break
    return nodes


def _reached(tree: ast.Module, entry_point: str) -> list[ast.stmt]:
    """The top-level statements that bind the entry point, or a name that these mention, and so on.

    Without an entry point, all statements that are no function or class are the beginning.
    """
    binding: dict[str, list[ast.stmt]] = {"": []}
    for statement in tree.body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            binding[statement.name] = [statement]  # the second of two with one name is called
            continue
        binding[""].append(statement)
        for name in {name for node in _live(statement) if (name := _binds(node))}:
            binding.setdefault(name, []).append(statement)
    reached, names = {}, [entry_point]
    for name in names:  # grows during the loop
        for statement in binding.pop(name, []):
            if id(statement) not in reached:
                reached[id(statement)] = statement
                names += [node.id for node in _live(statement) if isinstance(node, ast.Name)]
    return sorted(reached.values(), key=lambda statement: (statement.lineno, statement.col_offset))
