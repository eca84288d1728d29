"""A reward as a tree of components, and what an answer earns by it. language.py reads such trees from text.

    parse("0.6*staged + 0.4*security")  ->  Expression
    evaluate(expression, answer)        ->  Reward(value, components)

A new component needs its file, its import and its line in COMPONENTS.
"""

import operator
from collections.abc import Callable
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

COMPONENTS: dict[str, Callable[..., Value]] = {
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

# Expressions of the papers, by name.
NAMED = {
    # arXiv 2605.30478 publishes no formula. Of `combined` it says only that unit tests gate the style; the weights are
    # ours.
    "unit-test": "binary",
    "ruff-only": "style",
    "combined": "0.7*binary + 0.3*style if passed",
    # arXiv 2601.01184: R = 0.6 R_func + 0.4 R_sec, as published. Ours: a program that does not parse earns no security.
    "securecode": "0.6*staged + 0.4*security",
    # arXiv 2605.21180 pays each term to each token, so longer programs earn more: `dense-sum`. `dense` is ours: the
    # same terms, each in a fixed range at any length.
    "dense": "0.1*sync + 0.1*lint + 0.1*dataflow + 0.7*task",
    "dense-sum": "0.1*sync(per_token=1) + 0.1*lint(per_token=1) + 0.1*dataflow(per_token=1) + 0.7*task(per_token=1)",
}

CONDITIONS: dict[str, Callable[[Answer], bool]] = {
    "passed": lambda answer: answer.passed,
    "parses": lambda answer: answer.parses,
    "runs": lambda answer: answer.outcome.stage >= Stage.RUNS,
    "formatted": lambda answer: answer.fenced,
}

COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


# ---- the tree. `size` is how large a part gets if every component pays 1 ----


@dataclass(frozen=True)
class Number:
    value: float

    @property
    def size(self) -> float:
        return abs(self.value)


@dataclass(frozen=True)
class Component:
    """A component and the options that the text gives, in the order of the function's signature."""

    name: str
    options: tuple[tuple[str, float | int | str], ...]
    function: Callable[..., Value] = field(compare=False, repr=False)
    size = 1.0

    def __str__(self) -> str:
        """For the log: "style(normaliser=8)"."""
        options = ", ".join(f"{name}={_constant_text(value)}" for name, value in self.options)
        return f"{self.name}({options})" if options else self.name


@dataclass(frozen=True)
class Chain:
    """A sum (signs + and -) or a product (signs * and /), from left to right. Only a Number stands behind a /."""

    first: "Part"
    rest: tuple[tuple[str, "Part"], ...]
    size: float


@dataclass(frozen=True)
class Conditional:
    body: "Part"
    condition: "Condition"
    otherwise: "Part"

    @property
    def size(self) -> float:
        return max(self.body.size, self.otherwise.size)


Part = Number | Component | Chain | Conditional


@dataclass(frozen=True)
class Flag:
    """A name of CONDITIONS."""

    name: str


@dataclass(frozen=True)
class Comparison:
    component: Component
    sign: str
    number: float


@dataclass(frozen=True)
class Logic:
    """All parts ("and"), any part ("or") or not the one part ("not")."""

    word: str
    parts: tuple["Condition", ...]


Condition = Flag | Comparison | Logic


@dataclass(frozen=True)
class Expression:
    """A tree and its different components in order of appearance, those of conditions included."""

    tree: Part
    components: tuple[Component, ...]


def _constant_text(value: float | int | str) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return repr(int(value) if whole else value)


# ---- from a tree to a value ----


@dataclass(frozen=True)
class Reward:
    """What an answer earns, and the value of each component by its text, also of those whose term did not count."""

    value: Value
    components: dict[str, Value]


def evaluate(expression: Expression, answer: Answer) -> Reward:
    """The reward of one answer. The spans of the total are those of the components, scaled like their values:

        sum         spans of both
        product ab  spans of a times the value of b, spans of b times the value of a (the product rule)
        if          spans of the branch that counts

    Raises the ValueErrors of the components: an option out of range, an answer without something that they need.
    """
    values = {part: part.function(answer, **dict(part.options)) for part in expression.components}
    return Reward(_value(expression.tree, values, answer), {str(part): value for part, value in values.items()})


def _value(part: Part, values: dict[Component, Value], answer: Answer) -> Value:
    match part:
        case Number(number):
            return Value(number)
        case Component():
            return values[part]
        case Chain(first, rest):
            total = _value(first, values, answer)
            for sign, operand in rest:
                total = _combined(sign, total, _value(operand, values, answer))
            return total
        case Conditional(body, condition, otherwise):
            return _value(body if _holds(condition, values, answer) else otherwise, values, answer)


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
    """The value times a factor. Factor 0 leaves no spans."""
    spans = tuple(Span(span.start, span.end, span.value * factor) for span in value.spans) if factor else ()
    return Value(value.value * factor, spans)


def _holds(condition: Condition, values: dict[Component, Value], answer: Answer) -> bool:
    match condition:
        case Flag(name):
            return CONDITIONS[name](answer)
        case Comparison(component, sign, number):
            return COMPARISONS[sign](values[component].value, number)
        case Logic("not", (part,)):
            return not _holds(part, values, answer)
        case Logic(word, parts):
            return (all if word == "and" else any)(_holds(part, values, answer) for part in parts)
