"""Programs with one mistake, made from correct ones.

Three kinds of mistakes, each at every possible place (in the order of `ast.walk`), one place for each mutant:

    returns None          the entry point does nothing else
    off-by-one constant   an integer literal is one higher
    swapped comparison    < and >, <= and >=, == and !=, `is` and `is not`, `in` and `not in` are swapped

Some mutants are still correct; plain_judge.py tells which.
"""

import ast
from collections.abc import Iterator

MISTAKES = ("returns None", "off-by-one constant", "swapped comparison")
PAIRS = ((ast.Lt, ast.Gt), (ast.LtE, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn))
SWAPPED = dict(PAIRS) | {second: first for first, second in PAIRS}


def mutants(code: str, entry_point: str, mistake: str) -> list[str]:
    """The mutants with one kind of mistake.

    Example: mutants("f = lambda x: x + 1", "f", "off-by-one constant") is ["f = lambda x: x + 2"].
    """
    found = []
    for number in range(sum(1 for _ in places(ast.parse(code), entry_point, mistake))):
        tree = ast.parse(code)
        node, index = list(places(tree, entry_point, mistake))[number]
        if mistake == "returns None":
            node.body = [ast.Return(ast.Constant(None))]
        elif mistake == "off-by-one constant":
            node.value += 1
        else:
            node.ops[index] = SWAPPED[type(node.ops[index])]()
        found.append(ast.unparse(ast.fix_missing_locations(tree)))
    return found


def places(tree: ast.Module, entry_point: str, mistake: str) -> Iterator[tuple[ast.AST, int]]:
    """Nodes that a mistake can change; for a chain of comparisons also the index of the operator."""
    for node in ast.walk(tree):
        if mistake == "swapped comparison" and isinstance(node, ast.Compare):
            yield from ((node, index) for index in range(len(node.ops)))
        elif mistake == "off-by-one constant" and isinstance(node, ast.Constant) and type(node.value) is int:
            yield node, 0  # type(...) is int: True and False are no integers here
        elif mistake == "returns None" and isinstance(node, ast.FunctionDef) and node.name == entry_point:
            yield node, 0
