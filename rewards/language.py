"""The language of rewards: from a line of text such as "0.6*staged + 0.4*security" to a tree (expression.py).

    numbers and components   staged, style(normaliser=8)        options are constants, given by name
    sums, products           + - * and / by a number            binary * style: a product of components is a gate
    conditionals             X if CONDITION, X if CONDITION else Y; where there is no else it is 0
    conditions               passed, parses, runs (the module body ran), formatted (a fenced block), pass_rate > 0.5
                             (a component and a number; < <= > >=), joined by not, and, or
    names of PAPERS          unit-test, combined, ..., also within an expression: 0.5*combined

An `if` belongs to the last term of the sum that it stands behind: "staged + 0.2*style if passed" is
"staged + (0.2*style if passed)". Python reads it otherwise, and demands an else, so the text goes through two hands:

    text  --rewrite-->  Python with each else  --ast-->  syntax tree  --_Reader-->  Expression

Nothing is ever evaluated as Python. Whatever is wrong is an ExpressionError, which shows the character.
"""

import ast
import difflib
import inspect
import json
import keyword
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rewards.expression import (
    COMPONENTS,
    CONDITIONS,
    PAPERS,
    Binary,
    Comparison,
    Component,
    Condition,
    Conditional,
    Expression,
    Flag,
    Logic,
    Negative,
    Not,
    Number,
    components_of,
)

PYTHON_SIGNS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
PYTHON_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}

LONGEST = 1000  # characters of a text
DEEPEST = 60  # levels of its syntax tree, so that no recursion here overflows
LARGEST = 1e6  # of a number, and of what weights multiply up to; beyond lies a slip of the pen


class ExpressionError(ValueError):
    """One line: the text, the character (counted from 1), what is wrong there.

    text      all of it
    position  the character, counted from 0; the length of the text where it ends too early
    reason    the last part of the line
    """

    def __init__(self, text: str, position: int, reason: str) -> None:
        shown = json.dumps(text if len(text) <= LONGEST else text[:40] + "...")  # keeps to one line, whatever is in it
        super().__init__(f"{shown}: at character {position + 1}: {reason}")
        self.text, self.position, self.reason = text, position, reason


def parse(text: str, components: Mapping[str, Callable] = COMPONENTS) -> Expression:
    """The tree of an expression. ExpressionError for anything that is not in the language at the top of this file.

    `str` of it is the expression again, with the names of PAPERS written out: parse(str(e)) == e.
    """
    if len(text) > LONGEST:
        raise ExpressionError(text, LONGEST, f"too long: {len(text)} characters, and {LONGEST} are enough")
    python, columns = rewrite(text)
    try:
        tree = ast.parse(python, mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(text, columns[(error.offset or 1) - 1], "not understood") from None
    except (MemoryError, RecursionError):  # Python's parser, at texts nested too deep for it
        raise ExpressionError(text, 0, "nested too deep") from None
    _check_depth(tree, text)
    expression = _Reader(text, columns, components).expression(tree)
    if not components_of(expression):
        raise ExpressionError(text, 0, f"no component in it; there are {', '.join(components)}")
    return expression


def _check_depth(tree: ast.AST, text: str) -> None:
    level = [tree]
    for _ in range(DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    if level:
        raise ExpressionError(text, 0, "nested too deep")


WORDS = ("if", "else", "and", "or", "not")
HYPHENED = "|".join(name for name in PAPERS if "-" in name)

TOKEN = re.compile(
    rf"""(?P<space>[ \t]+)
      | (?P<number>(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)
      | (?P<name>({HYPHENED}|[A-Za-z_]\w*)(?!\w))
      | (?P<string>'[^'\\\r\n]*'|"[^"\\\r\n]*")
      | (?P<unknown>\*\*|//|[=!:]=)
      | (?P<sign>[<>]=?|[-+*/=(),])
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)


def rewrite(text: str) -> tuple[str, list[int]]:
    """Python for the text, and for each of its characters the column in the text that it comes from.

    Each `if` gets its else, names lose their hyphens, and tokens stand apart by one space. What is in no token of the
    language, or where it cannot be (two operands side by side, brackets that do not match), is refused here, as here
    it is known where. Example: "(style if passed) + binary" is "( style if passed else 0 ) + binary ".
    """
    scan = _Scan()
    for match in TOKEN.finditer(text):
        token, kind, column = match[0], match.lastgroup, match.start()
        if kind == "space":
            continue
        if kind in ("unknown", "other") or (kind == "name" and keyword.iskeyword(token) and token not in WORDS):
            raise ExpressionError(text, column, f"{json.dumps(token)} is not in the language of rewards")
        is_operand = kind in ("number", "string") or (kind == "name" and token not in WORDS)
        complaint = scan.complaint(token, is_operand)
        if complaint:
            raise ExpressionError(text, column, complaint)
        scan.take(token, is_operand, column)
    if scan.wants_operand:
        complaint = f"ends where {OPERAND} should be" if text.strip() else "empty"
        raise ExpressionError(text, len(text), complaint)
    if len(scan.brackets) > 1:
        raise ExpressionError(text, scan.brackets[-1].column, "the bracket is not closed")
    scan.end_conditional(len(text))
    return scan.python, [*scan.columns, len(text)]  # Python may find fault with the end


OPERAND = "a component or a number"


@dataclass
class _Bracket:
    column: int
    is_call: bool
    has_open_if: bool = False


@dataclass
class _Scan:
    """Where `rewrite` stands: what is written, which brackets are open (the first is the text), what may come next."""

    python: str = ""
    columns: list[int] = field(default_factory=list)
    brackets: list[_Bracket] = field(default_factory=lambda: [_Bracket(0, is_call=False)])
    wants_operand: bool = True
    before: str = ""

    def complaint(self, token: str, is_operand: bool) -> str:
        """Why the token cannot stand here; "" where it can."""
        bracket = self.brackets[-1]
        ends_empty_call = token == ")" and self.before == "(" and bracket.is_call
        if self.wants_operand and not (is_operand or ends_empty_call or token in ("(", "-", "not")):
            return f"{token} where {OPERAND} should be"
        if not self.wants_operand and (is_operand or token == "not" or (token == "(" and not self.follows_name())):
            return f"an operator is missing before {token}"
        if token in ("=", ",") and not bracket.is_call:
            return f"{token} is for options, as in style(normaliser=8)"
        if token == "if" and bracket.has_open_if:
            return "a second if; put each conditional into brackets: (0.5*style if passed) + (binary if parses)"
        if token == "else" and not bracket.has_open_if:
            return "an else without if"
        if token == ")" and len(self.brackets) == 1:
            return "no bracket is open"
        return ""

    def follows_name(self) -> bool:
        return self.before in PAPERS or (self.before.isidentifier() and self.before not in WORDS)

    def take(self, token: str, is_operand: bool, column: int) -> None:
        if token in ("if", "else"):
            self.brackets[-1].has_open_if = token == "if"
        if token in (")", ","):
            self.end_conditional(column)
        if token == "(":
            self.brackets.append(_Bracket(column, is_call=not self.wants_operand))
        if token == ")":
            self.brackets.pop()
        self.emit(token.replace("-", "_") if token in PAPERS else token, column)
        self.wants_operand, self.before = not (is_operand or token == ")"), token

    def end_conditional(self, column: int) -> None:
        if self.brackets[-1].has_open_if:
            self.emit("else", column)
            self.emit("0", column)
            self.brackets[-1].has_open_if = False

    def emit(self, token: str, column: int) -> None:
        self.python += token + " "
        self.columns.extend(range(column, column + len(token) + 1))


class _Reader:
    """From Python's syntax tree to ours; knows the text, so that errors point into it."""

    def __init__(self, text: str, columns: list[int], components: Mapping[str, Callable]) -> None:
        self.text, self.columns, self.components = text, columns, components

    def error(self, node: ast.AST, reason: str) -> ExpressionError:
        return ExpressionError(self.text, self.columns[node.col_offset], reason)

    def name(self, node: ast.Name) -> str:
        """As the user wrote it, with its hyphens."""
        start = self.columns[node.col_offset]
        return self.text[start : start + len(node.id)]

    def expression(self, node: ast.AST) -> Expression:
        match node:
            case ast.Constant():
                return self.number(node)
            case ast.Name():
                return self.named(node)
            case ast.Call():
                return self.call(node)
            case ast.UnaryOp(op=ast.USub()):
                of = self.expression(node.operand)
                return Number(-of.value) if isinstance(of, Number) else Negative(of)
            case ast.BinOp():
                return self.binary(node)
            case ast.IfExp():
                return self.conditional(node)
            case ast.Compare():
                raise self.error(node, "a comparison is a condition; it goes behind an if")
            case ast.BoolOp() | ast.UnaryOp():
                raise self.error(node, "and, or, not join conditions; they go behind an if")
            case _:  # a comma
                raise self.error(node, "not understood")

    def number(self, node: ast.Constant) -> Number:
        if isinstance(node.value, str):
            raise self.error(node, "a string is no reward")
        if abs(node.value) > LARGEST:
            raise self.error(node, f"too large: a number is at most {LARGEST:,.0f}")
        return Number(float(node.value))

    def named(self, node: ast.Name) -> Expression:
        name = self.name(node)
        if name in PAPERS:
            return parse(PAPERS[name], self.components)
        return self.component(node, [])

    def call(self, node: ast.Call) -> Component:
        if node.args:
            raise self.error(node.args[0], f"options are given by name, as in {self.name(node.func)}(option=1)")
        if self.name(node.func) in PAPERS:
            raise self.error(node.func, f"{self.name(node.func)} is an expression and has no options")
        return self.component(node.func, node.keywords)

    def component(self, node: ast.Name, keywords: list[ast.keyword]) -> Component:
        name = self.name(node)
        if name in CONDITIONS:
            raise self.error(node, f"{name} is a condition; it goes behind an if")
        if name not in self.components:
            raise self.error(node, f"unknown component {name!r}{_nearest(name, [*self.components, *PAPERS])}")
        known = option_defaults(self.components[name])
        given = {}
        for option in keywords:
            if option.arg not in known:
                listed = f"it has {', '.join(known)}" if known else "it has none"
                raise self.error(
                    option, f"{name} has no option {option.arg!r}; {listed}{_nearest(option.arg, list(known))}"
                )
            if option.arg in given:
                raise self.error(option, f"{option.arg} is given twice")
            given[option.arg] = self.option(option, known[option.arg])
        return Component(name, tuple((key, given[key]) for key in known if key in given), self.components[name])

    def option(self, node: ast.keyword, default: float | int | str) -> float | int | str:
        """The constant behind the =, of the default's type; an int will do for a float."""
        value, sign = node.value, 1
        if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
            value, sign = value.operand, -1
        if not isinstance(value, ast.Constant):
            raise self.error(node.value, f"{node.arg} needs a constant")
        if isinstance(default, str):
            if not isinstance(value.value, str) or sign < 0:
                raise self.error(node.value, f"{node.arg} needs a string, such as {default!r}")
            return value.value
        if isinstance(value.value, str) or (isinstance(default, int) and not isinstance(value.value, int)):
            kind = "a whole number" if isinstance(default, int) else "a number"
            raise self.error(node.value, f"{node.arg} needs {kind}, such as {default!r}")
        return type(default)(sign * self.number(value).value)

    def binary(self, node: ast.BinOp) -> Binary:
        built = Binary(
            PYTHON_OPERATORS[type(node.op)],  # no other operator gets through `rewrite`
            self.expression(node.left),
            self.expression(node.right),
        )
        if built.sign == "/" and not isinstance(built.right, Number):
            raise self.error(node.right, "only a number can stand behind a /")
        if built.sign == "/" and built.right.value == 0:
            raise self.error(node.right, "division by zero")
        if _size(built) > LARGEST:
            raise self.error(node, f"too large: the weights multiply up to more than {LARGEST:,.0f}")
        return built

    def conditional(self, node: ast.IfExp) -> Expression:
        """Brackets are not in Python's tree, but its columns tell: without them, body and whole begin together."""
        bare_body = node.body.col_offset == node.col_offset
        bare_else = node.orelse.end_col_offset == node.end_col_offset
        if bare_else and _begins_with_sum(node.orelse):
            raise self.error(
                node.orelse, "behind an else stands one term; put the sum, or the conditional, into brackets"
            )
        condition, otherwise = self.condition(node.test), self.expression(node.orelse)
        if bare_body and _is_sum(node.body):
            last = Conditional(self.expression(node.body.right), condition, otherwise)
            return Binary(PYTHON_OPERATORS[type(node.body.op)], self.expression(node.body.left), last)
        return Conditional(self.expression(node.body), condition, otherwise)

    def condition(self, node: ast.AST) -> Condition:
        match node:
            case ast.Name():
                return self.flag(node)
            case ast.Compare():
                return self.comparison(node)
            case ast.UnaryOp(op=ast.Not()):
                return Not(self.condition(node.operand))
            case ast.BoolOp():
                word = "and" if isinstance(node.op, ast.And) else "or"
                return Logic(word, tuple(self.condition(part) for part in node.values))
            case ast.BinOp():
                raise self.error(
                    node.right, "the sum goes on behind a condition; put the conditional into brackets: (X if C)"
                )
            case _:
                raise self.error(node, f"no condition; there are {', '.join(CONDITIONS)} and comparisons")

    def flag(self, node: ast.Name) -> Flag:
        name = self.name(node)
        if name in self.components or name in PAPERS:
            raise self.error(node, f"{name} is no condition; compare it with a number, as in {name} > 0.5")
        if name not in CONDITIONS:
            near = _nearest(name, list(CONDITIONS))
            raise self.error(
                node, f"unknown condition {name!r}; there are {', '.join(CONDITIONS)}, and comparisons{near}"
            )
        return Flag(name)

    def comparison(self, node: ast.Compare) -> Comparison:
        if len(node.ops) > 1:
            raise self.error(node.comparators[1], "one comparison at a time; join two by and")
        component, number = self.expression(node.left), self.expression(node.comparators[0])
        if not isinstance(component, Component):
            raise self.error(node.left, "a comparison begins with a component")
        if not isinstance(number, Number):
            raise self.error(node.comparators[0], "a comparison ends with a number")
        return Comparison(component, PYTHON_SIGNS[type(node.ops[0])], number)


def option_defaults(function: Callable) -> dict[str, float | int | str]:
    """The options of a component, which are its keyword-only parameters, and their defaults."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def _is_sum(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)


def _begins_with_sum(node: ast.AST) -> bool:
    """A sum, or a conditional whose if follows a bare sum: "a + b if passed"."""
    if isinstance(node, ast.IfExp):
        return node.body.col_offset == node.col_offset and _is_sum(node.body)
    return _is_sum(node)


def _size(expression: Expression) -> float:
    """How large the expression gets when every component pays 1."""
    match expression:
        case Number(value):
            return abs(value)
        case Negative(of):
            return _size(of)
        case Binary("*", left, right):
            return _size(left) * _size(right)
        case Binary("/", left, right):
            return _size(left) / _size(right)
        case Binary(_, left, right):
            return _size(left) + _size(right)
        case Conditional(body, _, otherwise):
            return max(_size(body), _size(otherwise))
    return 1.0


def _nearest(name: str, choices: list[str]) -> str:
    match = difflib.get_close_matches(name, choices, n=1)
    return f"; did you mean {match[0]}?" if match else ""
