"""The language of rewards: reads a line such as "0.6*staged + 0.4*security" into a tree (expression.py).

    sum        TERM + TERM - TERM
    term       FACTOR * FACTOR / NUMBER, alone or as TERM if CONDITION else TERM; without an else it is 0
    factor     a number, a component, a name of NAMED, -FACTOR, or a sum in brackets
    component  style or style(normaliser=8); options are constants, given by name
    condition  passed, parses, runs (the module body ran), formatted (a fenced block), COMPONENT > NUMBER
               (or < <= >=), joined by not, and, or

An `if` belongs to the last term of a sum: "staged + 0.2*style if passed" is "staged + (0.2*style if passed)".
Python code in the text is never executed. Every error is an ExpressionError, which points at the character.
"""

import difflib
import inspect
import json
import re
from collections.abc import Callable, Mapping

from rewards.answer import Value
from rewards.expression import (
    COMPARISONS,
    COMPONENTS,
    CONDITIONS,
    NAMED,
    Chain,
    Comparison,
    Component,
    Condition,
    Conditional,
    Expression,
    Flag,
    Logic,
    Number,
    Part,
)

LONGEST_SHOWN = 1000  # characters of a text in an error message
DEEPEST = 60  # nested brackets, minus signs, nots and elses, so that no recursion overflows
LARGEST = 1e6  # of a number and of multiplied weights; larger ones are mistakes


class ExpressionError(ValueError):
    """One line: the text, the character (counted from 1), the reason. `position` counts from 0."""

    def __init__(self, text: str, position: int, reason: str) -> None:
        shown = json.dumps(text if len(text) <= LONGEST_SHOWN else text[:40] + "...")  # escapes line breaks
        super().__init__(f"{shown}: at character {position + 1}: {reason}")
        self.position, self.reason = position, reason


def parse(text: str, components: Mapping[str, Callable[..., Value]] = COMPONENTS) -> Expression:
    """The tree of an expression. ExpressionError for a text that is not in the language above."""
    reader = Reader(text, components)
    expression = reader.expression()
    if reader.word:
        raise reader.error(f"{reader.word} is for the phases of a run; one expression has none")
    return expression


TOKEN = re.compile(
    rf"""[ \t]*(?:
        (?P<number>(?:\d*\.\d+|\d+\.|[1-9]\d*|0)(?:[eE][+-]?\d+)?)
      | (?P<end>->|@|when(?!\w)|\Z)
      | (?P<sign>[<>]=?|[-+*/=(),]|(?:if|else|and|or|not)(?!\w))
      | (?P<name>(?:{"|".join(name for name in NAMED if "-" in name)}|[A-Za-z_]\w*)(?!\w))
      | (?P<string>'[^'\\\r\n]*'|"[^"\\\r\n]*")
      | (?P<other>.))""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)

OPERAND = "a component or a number"
UNEXPECTED = {
    "if": "a second if; put each conditional into brackets: (0.5*style if passed) + (binary if parses)",
    "else": "an else without if",
    ")": "no bracket is open",
    **{sign: f"{sign} is for options, as in style(normaliser=8)" for sign in "=,"},
    **dict.fromkeys(COMPARISONS, "a comparison is a condition; it goes behind an if"),
    **dict.fromkeys(("and", "or", "not"), "and, or, not join conditions; they go behind an if"),
}


class Reader:
    """Reads one text from left to right.

    kind, word  the next token: its group in TOKEN, and its text
    at, end     its characters [at, end)
    used        the components so far, as keys
    """

    def __init__(self, text: str, components: Mapping[str, Callable[..., Value]]) -> None:
        self.text, self.components = text, components
        self.used: dict[Component, None] = {}
        self.depth = 0
        self.move(0)

    def move(self, position: int) -> None:
        """Go to the first token from this character on."""
        match = TOKEN.match(self.text, position)
        self.kind = match.lastgroup
        self.word, (self.at, self.end) = match[self.kind], match.span(self.kind)
        if self.kind == "other":
            raise self.error(f"{json.dumps(self.word)} is not in the language of rewards")

    def take(self, *words: str) -> str:
        """The next token, and go on, if it is one of these words; otherwise ""."""
        return self.next() if self.word in words else ""

    def next(self) -> str:
        word = self.word
        self.move(self.end)
        return word

    def error(self, reason: str, at: int | None = None) -> ExpressionError:
        """An error at the next token, or at another character."""
        return ExpressionError(self.text, self.at if at is None else at, reason)

    def unexpected(self) -> ExpressionError:
        """For a token that cannot follow a complete expression."""
        return self.error(UNEXPECTED.get(self.word, f"an operator is missing before {self.word}"))

    def deeper(self, read: Callable) -> Part | Condition:
        """What `read` returns, one level further down."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error("nested too deep")
        found = read()
        self.depth -= 1
        return found

    def close(self, opened: int) -> None:
        """Read the ")" of the bracket at character `opened`."""
        if self.kind == "end":
            raise self.error("the bracket is not closed", opened)
        if not self.take(")"):
            raise self.unexpected()

    # ---- expressions ----

    def expression(self) -> Expression:
        """One expression up to the end of the text or of a schedule's phase (schedule.py)."""
        start = self.at
        if self.kind == "end":
            raise self.error("empty")
        self.used = {}
        tree = self.sum()
        if self.kind != "end":
            raise self.unexpected()
        if not self.used:
            raise self.error(f"no component in it; there are {', '.join(self.components)}", start)
        return Expression(tree, tuple(self.used))

    def sum(self) -> Part:
        start, first, rest = self.at, self.conditional(), []
        while sign := self.take("+", "-"):
            rest.append((sign, self.conditional()))
        return self.chain(first, rest, start)

    def conditional(self) -> Part:
        """A term, and the `if` behind it."""
        body, otherwise = self.term(), Number(0.0)
        if not self.take("if"):
            return body
        condition = self.condition()
        if self.take("else"):
            otherwise = self.deeper(self.conditional)
        if self.word in ("+", "-", "*", "/"):
            raise self.error("a sum does not go on behind an if or else; put the conditional into brackets: (X if C)")
        return Conditional(body, condition, otherwise)

    def term(self) -> Part:
        start, first, rest = self.at, self.factor(), []
        while sign := self.take("*", "/"):
            at, operand = self.at, self.factor()
            if sign == "/" and not isinstance(operand, Number):
                raise self.error("only a number can stand behind a /", at)
            if sign == "/" and operand.value == 0:
                raise self.error("division by zero", at)
            rest.append((sign, operand))
        return self.chain(first, rest, start)

    def chain(self, first: Part, rest: list[tuple[str, Part]], start: int) -> Part:
        size = first.size
        for sign, operand in rest:
            size = size * operand.size if sign == "*" else size / operand.size if sign == "/" else size + operand.size
            if size > LARGEST:
                raise self.error(f"too large: the weights multiply up to more than {LARGEST:,.0f}", start)
        return Chain(first, tuple(rest), size) if rest else first

    def factor(self) -> Part:
        start = self.at
        if self.take("-"):
            part = self.deeper(self.factor)
            return Number(-part.value) if isinstance(part, Number) else Chain(Number(-1.0), (("*", part),), part.size)
        if self.take("("):
            part = self.deeper(self.sum)
            self.close(start)
            return part
        if self.kind == "number":
            number = float(self.next())
            if number > LARGEST:
                raise self.error(f"too large: a number is at most {LARGEST:,.0f}", start)
            return Number(number)
        if self.kind == "name":
            return self.named()
        if self.kind == "string":
            raise self.error("a string is no reward")
        if self.kind == "end":
            raise self.error(f"ends where {OPERAND} should be")
        if self.word == "not":
            raise self.unexpected()
        raise self.error(f"{self.word} where {OPERAND} should be")

    def named(self) -> Part:
        """A component with its options, or a name of NAMED."""
        start, name = self.at, self.next()
        if name in CONDITIONS:
            raise self.error(f"{name} is a condition; it goes behind an if", start)
        if name in NAMED:
            if self.word == "(":
                raise self.error(f"{name} is an expression and has no options", start)
            expression = parse(NAMED[name], self.components)
            self.used |= dict.fromkeys(expression.components)
            return expression.tree
        if name not in self.components:
            raise self.error(f"unknown component {name!r}{_nearest(name, [*self.components, *NAMED])}", start)
        known, opened = option_defaults(self.components[name]), self.at
        given = self.options(name, known, opened) if self.take("(") else {}
        options = tuple((option, given[option]) for option in known if option in given)
        component = Component(name, options, self.components[name])
        self.used[component] = None
        return component

    def options(self, name: str, known: dict, opened: int) -> dict[str, float | int | str]:
        """Options up to the closing bracket; `known` has their defaults."""
        given = {}
        if self.take(")"):
            return given
        while True:
            start, option = self.at, self.next() if self.kind == "name" else ""
            if not option or not self.take("="):
                raise self.error(f"options are given by name, as in {name}(option=1)", start)
            if option not in known:
                listed = f"it has {', '.join(known)}" if known else "it has none"
                raise self.error(f"{name} has no option {option!r}; {listed}{_nearest(option, list(known))}", start)
            if option in given:
                raise self.error(f"{option} is given twice", start)
            given[option] = self.constant(option, known[option])
            if not self.take(","):
                self.close(opened)
                return given

    def constant(self, option: str, default: float | int | str) -> float | int | str:
        """A constant of the default's type."""
        start = self.at
        if isinstance(default, str):
            if self.kind != "string":
                raise self.error(f"{option} needs a string, such as {default!r}")
            return self.next()[1:-1]
        value = None if self.kind == "string" else self.factor()
        if not isinstance(value, Number) or (isinstance(default, int) and not value.value.is_integer()):
            needed = "a whole number" if isinstance(default, int) else "a number"
            raise self.error(f"{option} needs {needed}, such as {default!r}", start)
        return type(default)(value.value)

    # ---- conditions ----

    def condition(self) -> Condition:
        return self.joined("or", lambda: self.joined("and", self.negation))

    def joined(self, word: str, read: Callable[[], Condition]) -> Condition:
        """Conditions with the word between them."""
        parts = [read()]
        while self.take(word):
            parts.append(read())
        return Logic(word, tuple(parts)) if len(parts) > 1 else parts[0]

    def negation(self) -> Condition:
        if self.take("not"):
            return Logic("not", (self.deeper(self.negation),))
        return self.test()

    def test(self) -> Condition:
        """A name of CONDITIONS, a comparison, or a condition in brackets."""
        start = self.at
        if self.word in CONDITIONS:
            return Flag(self.next())
        if self.word == "(" and not self.is_compared():
            self.next()
            inner = self.deeper(self.condition)
            self.close(start)
            return inner
        there_are = f"there are {', '.join(CONDITIONS)}, and comparisons"
        if self.kind == "name" and self.word not in (names := (*self.components, *NAMED, *CONDITIONS)):
            raise self.error(f"unknown condition {self.word!r}; {there_are}{_nearest(self.word, names)}")
        component = self.term()
        sign = self.take(*COMPARISONS)
        if not isinstance(component, Component):
            raise self.error("a comparison begins with a component" if sign else f"no condition; {there_are}", start)
        if not sign:
            problem = f"{component.name} is no condition; compare it with a number, as in {component.name} > 0.5"
            raise self.error(problem, start)
        at, number = self.at, self.term()
        if not isinstance(number, Number):
            raise self.error("a comparison ends with a number", at)
        if self.word in COMPARISONS:
            raise self.error("one comparison at a time; join two by and")
        return Comparison(component, sign, number.value)

    def is_compared(self) -> bool:
        """Whether the bracket here holds the left side of a comparison: "(pass_rate) > 0.5"."""
        words, depth = (match[match.lastgroup] for match in TOKEN.finditer(self.text, self.at)), 0
        for word in words:
            depth += (word == "(") - (word == ")")
            if depth == 0:
                return next(words, "") in COMPARISONS
        return False


def option_defaults(function: Callable[..., Value]) -> dict[str, float | int | str]:
    """The options of a component, which are its keyword-only parameters, and their defaults."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def _nearest(name: str, choices: list[str]) -> str:
    match = difflib.get_close_matches(name, choices, n=1)
    return f"; did you mean {match[0]}?" if match else ""
