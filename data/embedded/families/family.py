"""What a task family is, and helpers to write families.

A family is plain data: wordings, function names, parameters, correct bodies in several styles, typical wrong bodies, and
a function that draws inputs. Texts and bodies are `string.Template`s: `$a` and `$b` are the argument names, every other
`$name` is a parameter of the family.
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

    `good[0]` is the reference; every good body must agree with it on every input. `bad` bodies are wrong in a way that
    is specific to the family; data/embedded/habits.py adds general mistakes (no return, off by one ...). RL never
    trains on `unseen` families.
    """

    name: str
    texts: tuple[str, ...]  # wordings, to follow "Write a function to"
    names: tuple[str, ...]  # function names
    args: tuple[str, ...]  # for each argument its possible names, separated by "|"
    params: tuple[Params, ...]
    good: tuple[str, ...]
    bad: tuple[str, ...]
    inputs: Callable[[Random, Params], tuple]
    tier: str = "easy"
    unseen: bool = False
    fixed: bool = False  # only the listed parameter values make sense


def fill(template: str, params: Params, arguments: tuple[str, ...]) -> str:
    """The template with its parameters and argument names filled in. KeyError if one is missing."""
    return Template(template).substitute(params, **dict(zip("ab", arguments, strict=False)))


def function_source(name: str, arguments: tuple[str, ...], body: str) -> str:
    """A function's source from its name, argument names and unindented body."""
    indented = "\n".join("    " + line if line else line for line in body.split("\n"))
    return f"def {name}({', '.join(arguments)}):\n{indented}\n"


def grid(**choices: Iterable) -> tuple[Params, ...]:
    """Every combination: `grid(k=(1, 2), m=(3,))` is `({"k": 1, "m": 3}, {"k": 2, "m": 3})`."""
    return tuple(dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values()))


def cross(*lists: Iterable[Params]) -> tuple[Params, ...]:
    """Every combination of one entry from each list, merged into one dictionary."""
    return tuple({k: v for choice in picked for k, v in choice.items()} for picked in itertools.product(*lists))


# Names of the only argument of a function.
NUMBER = ("n|num|x",)
LIST = ("nums|xs|values|numbers",)
TEXT = ("text|s|string",)
WORD_LIST = ("words|items|names",)

# Comparisons in words and in code, so that one family has all four.
COMPARISONS = (
    {"word": "greater than", "op": ">"},
    {"word": "less than", "op": "<"},
    {"word": "at least", "op": ">="},
    {"word": "at most", "op": "<="},
)

SEPARATORS = ("-", "_", "/", "+", ":", ".", "|", "*")
LETTERS = "abcdefghiklmnoprstuwy"
WORDS = [
    "apple", "bird", "cat", "dog", "eagle", "fish", "grape", "house", "ink", "jam",
    "king", "lamp", "moon", "nest", "orange", "pen", "queen", "rain", "sun", "tree",
    "umbrella", "van", "wolf", "yes", "zoo", "ant", "bee", "cup", "day", "egg",
    "fan", "gold", "hat", "ice", "jar", "kite", "leaf", "milk", "note", "owl",
]  # fmt: skip


def integers(
    rng: Random, near: Iterable[int] = (), low: int = -9, high: int = 20, least: int = 3, most: int = 7
) -> list[int]:
    """A short list of integers. Values at and next to `near` are frequent, because wrong bodies differ there."""
    edges = [value + step for value in near for step in (-1, 0, 0, 1)]
    return [
        rng.choice(edges) if edges and rng.random() < 0.45 else rng.randint(low, high)
        for _ in range(rng.randint(least, most))
    ]


def word(rng: Random, letter: str = "", least: int = 4, most: int = 8) -> str:
    """A string of lower-case letters in which `letter` is frequent."""
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
