"""A reward as a tree of components, and what an answer earns by it. Texts become such trees in language.py.

    parse("0.6*staged + 0.4*security")  ->  Binary("+", Binary("*", Number(0.6), Component("staged")), ...)
    evaluate(tree, answer)              ->  Result(value, components)

Values carry spans (answer.py), and so does what is made of them: a reward knows where it was won and lost.
"""

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rewards.answer import Answer, Span, Value
from rewards.components.binary import binary
from rewards.components.calibrated import calibrated
from rewards.components.coderl import coderl
from rewards.components.format import format_reward
from rewards.components.length import length
from rewards.components.pass_rate import pass_rate
from rewards.components.security import security, security_cwe, security_exp
from rewards.components.simulator import simulator
from rewards.components.staged import staged
from rewards.components.style import style, style_linear
from rewards.components.syntax import syntax
from rewards.dense.dataflow import dataflow
from rewards.dense.lint import lint
from rewards.dense.sync import sync
from rewards.dense.task import task
from sandbox import Stage

COMPONENTS: dict[str, Callable] = {
    "binary": binary,
    "pass_rate": pass_rate,
    "staged": staged,
    "coderl": coderl,
    "calibrated": calibrated,
    "syntax": syntax,
    "format": format_reward,
    "length": length,
    "simulator": simulator,
    "style": style,
    "style_linear": style_linear,
    "security": security,
    "security_exp": security_exp,
    "security_cwe": security_cwe,
    "sync": sync,
    "lint": lint,
    "dataflow": dataflow,
    "task": task,
}

PAPERS = {
    # arXiv 2605.30478 trains on three rewards and publishes the formula of none. Unit tests alone and Ruff alone leave
    # little to guess but Ruff's weights (components/style.py). Of `combined` it is known that the style is subordinated
    # to a gate of unit tests; the weights 0.7 and 0.3 are ours.
    "unit-test": "binary",
    "ruff-only": "style",
    "combined": "0.7*binary + 0.3*style if passed",
    # arXiv 2601.01184: R = 0.6 R_func + 0.4 R_sec, as published. That what does not parse earns no security is ours.
    "securecode": "0.6*staged + 0.4*security",
    # arXiv 2605.21180: the weights of its configuration. The paper pays each term to each token and adds up, so that
    # longer programs earn more: `dense-sum`. `dense` is ours: the same terms, each in a range of its own, however long.
    "dense": "0.1*sync + 0.1*lint + 0.1*dataflow + 0.7*task",
    "dense-sum": "0.1*sync(per_token=1) + 0.1*lint(per_token=1) + 0.1*dataflow(per_token=1) + 0.7*task(per_token=1)",
}

CONDITIONS: dict[str, Callable[[Answer], bool]] = {
    "passed": lambda answer: answer.passed,
    "parses": lambda answer: answer.parses,
    "runs": lambda answer: answer.outcome.stage >= Stage.RUNS,
    "formatted": lambda answer: answer.fenced,
}

SIGNS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


# ---- the tree ----


@dataclass(frozen=True)
class Number:
    value: float

    def __str__(self) -> str:
        return _constant_text(self.value)


@dataclass(frozen=True)
class Component:
    """A leaf: a component with the options that were given, in the order of its signature."""

    name: str
    options: tuple[tuple[str, float | int | str], ...]
    function: Callable = field(compare=False, repr=False)

    def __str__(self) -> str:
        options = ", ".join(f"{name}={_constant_text(value)}" for name, value in self.options)
        return f"{self.name}({options})" if options else self.name


@dataclass(frozen=True)
class Negative:
    of: "Expression"

    def __str__(self) -> str:
        return f"-{_bracketed(self.of, _rank(self.of) < 3)}"


@dataclass(frozen=True)
class Binary:
    """left sign right; sign is one of + - * /, and right of a / is a Number."""

    sign: str
    left: "Expression"
    right: "Expression"

    def __str__(self) -> str:
        left = _bracketed(self.left, _rank(self.left) < _rank(self))
        right = _bracketed(self.right, _rank(self.right) <= _rank(self))
        return f"{left} {self.sign} {right}" if self.sign in "+-" else f"{left}{self.sign}{right}"


@dataclass(frozen=True)
class Conditional:
    """body if condition else otherwise."""

    body: "Expression"
    condition: "Condition"
    otherwise: "Expression"

    def __str__(self) -> str:
        text = f"{_bracketed(self.body, _rank(self.body) < 2)} if {self.condition}"
        if self.otherwise == Number(0.0):
            return text
        return f"{text} else {_bracketed(self.otherwise, _rank(self.otherwise) < 2)}"


Expression = Number | Component | Negative | Binary | Conditional


@dataclass(frozen=True)
class Flag:
    """One of CONDITIONS."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Comparison:
    component: Component
    sign: str
    number: Number

    def __str__(self) -> str:
        return f"{self.component} {self.sign} {self.number}"


@dataclass(frozen=True)
class Not:
    of: "Condition"

    def __str__(self) -> str:
        return f"not {_bracketed(self.of, isinstance(self.of, Logic))}"


@dataclass(frozen=True)
class Logic:
    """All parts ("and") or any ("or")."""

    word: str
    parts: tuple["Condition", ...]

    def __str__(self) -> str:
        return f" {self.word} ".join(_bracketed(part, isinstance(part, Logic)) for part in self.parts)


Condition = Flag | Comparison | Not | Logic


def _rank(expression: Expression) -> int:
    """How tightly it holds together: 0 a conditional, 1 a sum, 2 a product, 3 the rest."""
    if isinstance(expression, Binary):
        return 1 if expression.sign in "+-" else 2
    return 0 if isinstance(expression, Conditional) else 3


def _bracketed(part: object, needed: bool) -> str:
    return f"({part})" if needed else str(part)


def _constant_text(value: float | int | str) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return repr(int(value) if whole else value)


# ---- from a tree to a value ----


@dataclass(frozen=True)
class Result:
    """What an answer earns, and what each component of the expression said, by its text ("style(normaliser=8)").

    Components are there whether or not their term counted, so that all answers have the same ones.
    """

    value: Value
    components: dict[str, Value]


def evaluate(expression: Expression, answer: Answer) -> Result:
    """The reward of one answer. The spans of the total are those of the components, scaled as the values are:

        sum         spans of both
        product ab  spans of a times the value of b, spans of b times the value of a (the rule of the product). Of
                    binary * style with a failed test the style's are gone; the failing line is charged what it cost
        if          spans of the branch that counts

    A component's own ValueErrors (an option out of range, an answer without what it needs) come through.
    """
    leaves = {leaf: leaf.function(answer, **dict(leaf.options)) for leaf in components_of(expression)}
    return Result(_value(expression, leaves, answer), {str(leaf): value for leaf, value in leaves.items()})


def components_of(expression: Expression) -> list[Component]:
    """The different components, in order of appearance, those of conditions included."""
    return list(dict.fromkeys(_walk(expression)))


def _walk(part: Expression | Condition) -> Iterator[Component]:
    match part:
        case Component():
            yield part
        case Negative(of) | Not(of):
            yield from _walk(of)
        case Binary(_, left, right):
            yield from _walk(left)
            yield from _walk(right)
        case Conditional(body, condition, otherwise):
            yield from _walk(body)
            yield from _walk(condition)
            yield from _walk(otherwise)
        case Comparison(component):
            yield component
        case Logic(_, parts):
            for each in parts:
                yield from _walk(each)


def _value(expression: Expression, leaves: dict[Component, Value], answer: Answer) -> Value:
    match expression:
        case Number(number):
            return Value(number)
        case Component():
            return leaves[expression]
        case Negative(of):
            return _scaled(_value(of, leaves, answer), -1.0)
        case Binary(sign, left, right):
            return _combined(sign, _value(left, leaves, answer), _value(right, leaves, answer))
        case Conditional(body, condition, otherwise):
            return _value(body if _holds(condition, leaves, answer) else otherwise, leaves, answer)


def _combined(sign: str, left: Value, right: Value) -> Value:
    if sign == "/":  # by a number, which has no spans
        spans = tuple(Span(span.start, span.end, span.value / right.value) for span in left.spans)
        return Value(left.value / right.value, spans)
    if sign == "*":
        return Value(left.value * right.value, _scaled(left, right.value).spans + _scaled(right, left.value).spans)
    if sign == "-":
        right = _scaled(right, -1.0)
    return Value(left.value + right.value, left.spans + right.spans)


def _scaled(value: Value, factor: float) -> Value:
    """A span of nothing is none."""
    spans = tuple(Span(span.start, span.end, span.value * factor) for span in value.spans) if factor else ()
    return Value(value.value * factor, spans)


def _holds(condition: Condition, leaves: dict[Component, Value], answer: Answer) -> bool:
    match condition:
        case Flag(name):
            return CONDITIONS[name](answer)
        case Comparison(component, sign, number):
            return SIGNS[sign](leaves[component].value, number.value)
        case Not(of):
            return not _holds(of, leaves, answer)
        case Logic(word, parts):
            return (all if word == "and" else any)(_holds(part, leaves, answer) for part in parts)
