"""Programs that are wrong in one place, made of right ones: what a judge has to refuse.

Three kinds, each at every place where it can be, one place a mutant, in the order of `ast.walk`:

    returns None          the entry point does nothing else
    off-by-one constant   an integer literal is one higher
    swapped comparison    < and >, <= and >=, == and !=, `is` and `is not`, `in` and `not in` change places

Which of them are wrong on a problem's tests is for another to say (plain_judge.py): some change nothing.
"""

import ast
from collections.abc import Iterator

KINDS = ("returns None", "off-by-one constant", "swapped comparison")
PAIRS = ((ast.Lt, ast.Gt), (ast.LtE, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn))
SWAPPED = dict(PAIRS) | {second: first for first, second in PAIRS}


def mutants(code: str, entry_point: str, kind: str) -> list[str]:
    """The mutants of one kind; none where the program has no place for it.

    Example: mutants("def f(x):\\n    return x + 1\\n", "f", "off-by-one constant") is
    ["def f(x):\\n    return x + 2"].
    """
    count = sum(1 for _ in places(ast.parse(code), entry_point, kind))
    found = []
    for number in range(count):
        tree = ast.parse(code)
        node, index = list(places(tree, entry_point, kind))[number]
        if kind == "returns None":
            node.body = [ast.Return(ast.Constant(None))]
        elif kind == "off-by-one constant":
            node.value += 1
        else:
            node.ops[index] = SWAPPED[type(node.ops[index])]()
        found.append(ast.unparse(ast.fix_missing_locations(tree)))
    return found


def places(tree: ast.Module, entry_point: str, kind: str) -> Iterator[tuple[ast.AST, int]]:
    """Where a mutation of this kind can be: nodes, and which operator of a chain of comparisons."""
    for node in ast.walk(tree):
        if kind == "swapped comparison":
            yield from ((node, index) for index in range(len(node.ops) if isinstance(node, ast.Compare) else 0))
        elif kind == "off-by-one constant":
            if isinstance(node, ast.Constant) and type(node.value) is int:  # true and false are no integers here
                yield node, 0
        elif isinstance(node, ast.FunctionDef) and node.name == entry_point:
            yield node, 0
