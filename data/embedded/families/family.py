"""What a task family is, and the small words that the families are written in.

A family is plain data: wordings, function names, parameters, correct bodies in several styles, wrong
bodies that a hurried programmer writes, and a way to draw inputs. Texts and bodies are `string.Template`s:
`$a` and `$b` are the argument names, every other `$name` is a parameter of the family.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from string import Template

Params = dict[str, object]


@dataclass(frozen=True)
class Family:
    """One kind of task; a problem is a family with one choice of parameters, wording and names.

    `good[0]` is the reference; every good body must agree with it on every input. `bad` bodies are wrong in
    a way that belongs to this family; habits that any code can have (no return, off by one ...) are added by
    `data/embedded/habits.py`. `unseen` families are never trained on by RL.
    """

    name: str
    texts: tuple[str, ...]  # wordings, to follow "Write a function to"
    names: tuple[str, ...]  # function names
    args: tuple[str, ...]  # per argument, its possible names separated by "|"
    params: tuple[Params, ...]
    good: tuple[str, ...]
    bad: tuple[str, ...]
    inputs: Callable[[Random, Params], tuple]
    tier: str = "easy"
    unseen: bool = False
    fixed: bool = False  # other parameter values than those listed would make no sense


def fill(template: str, params: Params, arguments: tuple[str, ...]) -> str:
    """The template with its parameters and argument names put in; a missing name raises KeyError."""
    return Template(template).substitute(params, **dict(zip("ab", arguments, strict=False)))


def function_source(name: str, arguments: tuple[str, ...], body: str) -> str:
    """A whole `def` from its name, argument names and unindented body."""
    indented = "\n".join("    " + line if line else line for line in body.split("\n"))
    return f"def {name}({', '.join(arguments)}):\n{indented}\n"


def grid(**choices: Iterable) -> tuple[Params, ...]:
    """Every combination: `grid(k=(1, 2), m=(3,))` is `({"k": 1, "m": 3}, {"k": 2, "m": 3})`."""
    return tuple(dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values()))


def cross(*lists: Iterable[Params]) -> tuple[Params, ...]:
    """Every combination of one choice from each list, merged."""
    return tuple({k: v for choice in picked for k, v in choice.items()} for picked in itertools.product(*lists))


# Comparisons in words and in code: one family then asks for all four.
COMPARISONS = (
    {"word": "greater than", "op": ">"},
    {"word": "less than", "op": "<"},
    {"word": "at least", "op": ">="},
    {"word": "at most", "op": "<="},
)

SEPARATORS = ("-", "_", "/", "+", ":", ".", "|", "*")
LETTERS = "abcdefghiklmnoprstuwy"
WORDS = [
    "apple",
    "bird",
    "cat",
    "dog",
    "eagle",
    "fish",
    "grape",
    "house",
    "ink",
    "jam",
    "king",
    "lamp",
    "moon",
    "nest",
    "orange",
    "pen",
    "queen",
    "rain",
    "sun",
    "tree",
    "umbrella",
    "van",
    "wolf",
    "yes",
    "zoo",
    "ant",
    "bee",
    "cup",
    "day",
    "egg",
    "fan",
    "gold",
    "hat",
    "ice",
    "jar",
    "kite",
    "leaf",
    "milk",
    "note",
    "owl",
]


def integers(
    rng: Random, near: Iterable[int] = (), low: int = -9, high: int = 20, least: int = 3, most: int = 7
) -> list[int]:
    """A short list of integers. Values at and beside `near` are frequent: there the wrong bodies differ."""
    edges = [value + step for value in near for step in (-1, 0, 0, 1)]
    draw = lambda: rng.choice(edges) if edges and rng.random() < 0.45 else rng.randint(low, high)  # noqa: E731
    return [draw() for _ in range(rng.randint(least, most))]


def word(rng: Random, letter: str = "", least: int = 4, most: int = 8) -> str:
    """A pronounceable-length string of lower-case letters in which `letter` is frequent."""
    return "".join(
        letter if letter and rng.random() < 0.35 else rng.choice(LETTERS) for _ in range(rng.randint(least, most))
    )


def words(rng: Random, least: int = 3, most: int = 6) -> list[str]:
    """A list of real words."""
    return [rng.choice(WORDS) for _ in range(rng.randint(least, most))]


def dictionary(rng: Random, near: Iterable[int] = (), least: int = 2, most: int = 4) -> dict[str, int]:
    """A small dictionary from single letters to integers, some of them at `near`."""
    keys = rng.sample("abcdefgh", rng.randint(least, most))
    edges = [value + step for value in near for step in (-1, 0, 0, 1)]
    return {key: rng.choice(edges) if edges and rng.random() < 0.5 else rng.randint(-5, 20) for key in keys}
