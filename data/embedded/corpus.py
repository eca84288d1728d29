"""The pretraining text of the embedded base: worked examples, many of them flawed on purpose.

The base is to be *deliberately imperfect*, so that there is something to reward. Each family has a rate of
wrong examples and one systematic mistake, which makes up most of them: where the rate is high the mistake is
the likeliest answer and greedy decoding writes it; the correct styles are in the text all the same, so that
sampling finds them. On top come slips that break the code and harmless bad style. Families of the tier "hard"
are wrong nineteen times out of twenty. Families that RL never trains on are as flawed as the rest.

The text uses the variants of the splits "train" and "text" (generate.py), and fresh parameters that no problem has:
no problem of valid or test is in it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from string import ascii_lowercase

from data.embedded.families import ALL
from data.embedded.families.family import Family, Params, fill, function_source
from data.embedded.generate import (
    ARGUMENTS,
    LONGEST_ASSERT,
    SEED,
    Variant,
    Worded,
    assertion,
    call,
    choose_tests,
    load_function,
    make_variants,
    word_variant,
)
from data.embedded.habits import LOGIC, bad_style, good_bodies, slip, wrong_bodies
from data.prompts import format_prompt

WRONG_RATE = {"easy": (0.15, 0.70), "hard": (0.93, 0.96)}  # uniform between these, drawn once for each family
SYSTEMATIC_SHARE = 0.85  # of the wrong examples: the family's one favourite mistake
GENERAL_SHARE = 0.7  # of the families: the favourite is a habit that any code can have, else one of its own
SLIP_SHARE = 0.1  # of all examples: broken by a slip
FRESH_SHARE = 0.6  # of all examples: with parameters that no problem has
STYLE_SHARE = 0.11  # of the rest: spoiled in style only
MARKS = "!#%&*+,-./:;<=>?@^_|~ "  # separators for fresh parameters


@dataclass(frozen=True)
class Favourite:
    """A family's systematic mistake: logic habit `habit` on good body `style`, or its own wrong body `own`."""

    rate: float
    habit: int | None
    style: int
    own: int

    def body(self, family: Family, params: Params, arguments: tuple[str, ...]) -> str:
        """The mistaken body; where the habit finds nothing to spoil, the family's own wrong body."""
        own = fill(family.bad[self.own], params, arguments)
        if self.habit is None:
            return own
        return LOGIC[self.habit](good_bodies(family, params, arguments)[self.style]) or own


def choose_favourite(family: Family, variant: Variant, tests: list) -> Favourite:
    """Draws a family's wrong rate and its mistake, one that really fails the tests of the given variant."""
    rng = Random(f"{SEED}/favourite/{family.name}")
    rate = rng.uniform(*WRONG_RATE[family.tier])
    general = [(habit, style) for habit in range(len(LOGIC)) for style in range(len(family.good))]
    rng.shuffle(general)
    own = rng.randrange(len(family.bad))
    candidates = [Favourite(rate, habit, style, own) for habit, style in general]
    if rng.random() >= GENERAL_SHARE:
        candidates = [Favourite(rate, None, 0, own)]
    arguments = ARGUMENTS[: len(family.args)]
    good = good_bodies(family, variant.params, arguments)
    for favourite in candidates:
        spoiled = favourite.habit is None or LOGIC[favourite.habit](good[favourite.style])
        function = spoiled and load_function(favourite.body(family, variant.params, arguments), arguments)
        if function and any(call(function, inputs) != ("value", expected) for inputs, expected in tests):
            return favourite
    return Favourite(rate, None, 0, own)


def write_examples(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """`count` pairs of prompt and completion; each family gets an equal share, in random order."""
    rng = Random(f"{SEED}/corpus/{seed}")
    by_family: dict[str, list[Variant]] = {}
    held_out = set()
    for variant in make_variants():
        if variant.split in ("train", "text"):
            by_family.setdefault(variant.family.name, []).append(variant)
        else:
            held_out.add(key_of(variant))
    favourites = {}
    for family in ALL:
        first = by_family[family.name][0]
        favourites[family.name] = choose_favourite(family, first, choose_tests(first))
    for number in range(count):
        family = ALL[number % len(ALL)]
        variant = rng.choice(by_family[family.name])
        if rng.random() < FRESH_SHARE and not family.fixed:
            fresh = Variant(family, fresh_params(family, variant.params, rng), "text")
            variant = fresh if key_of(fresh) not in held_out else variant
        shown = show_test(variant, rng)
        if shown is None:  # the fresh parameters lead to a test that is too long
            variant = rng.choice(by_family[family.name])
            shown = choose_tests(variant)[0]
        worded = word_variant(variant, [shown], rng.randrange(1000))
        completion = write_completion(worded, favourites[family.name], rng).rstrip("\n")
        yield format_prompt(worded.text, worded.tests[0]), completion


def key_of(variant: Variant) -> str:
    return variant.family.name + json.dumps(variant.params, sort_keys=True)


def fresh_params(family: Family, params: Params, rng: Random) -> Params:
    """Like `params`, but with numbers, letters and separators of which most occur in no problem.

    With the few listed values alone the model learns them by heart instead of copying from the request.
    """
    fresh = dict(params)
    for name, value in params.items():
        if type(value) is int:
            listed = [choice[name] for choice in family.params]
            fresh[name] = rng.randint(min(listed), max(listed) + (max(listed) - min(listed)) // 2 + 3)
        elif isinstance(value, str) and len(value) == 1:
            fresh[name] = rng.choice(ascii_lowercase if value.isalpha() else MARKS)
    ordered = "lo" not in fresh or fresh["lo"] < fresh["hi"]
    # A number inside a phrase ("add 5 to") is not seen here, so the whole family keeps its values.
    return fresh if ordered and "phrase" not in params else params


def show_test(variant: Variant, rng: Random) -> tuple[tuple, object] | None:
    """A random test of a variant, short enough for a prompt; None if four draws give none."""
    arguments = ARGUMENTS[: len(variant.family.args)]
    reference = load_function(good_bodies(variant.family, variant.params, arguments)[0], arguments)
    for _ in range(4):
        inputs = variant.family.inputs(rng, variant.params)
        kind, expected = call(reference, inputs)
        if kind == "value" and len(assertion("f" * 14, inputs, expected)) <= LONGEST_ASSERT:
            return inputs, expected
    return None


def write_completion(worded: Worded, favourite: Favourite, rng: Random) -> str:
    """One answer to a problem as the corpus would have it: correct, wrong, broken or ugly."""
    family, params, arguments = worded.variant.family, worded.variant.params, worded.arguments
    if rng.random() >= favourite.rate:
        body = rng.choice(good_bodies(family, params, arguments))
    elif rng.random() < SYSTEMATIC_SHARE:
        body = favourite.body(family, params, arguments)
    else:
        body = rng.choice(wrong_bodies(family, params, arguments))
    source = function_source(worded.name, arguments, body)
    if rng.random() < SLIP_SHARE:
        return slip(source, rng)
    return bad_style(source, rng) if rng.random() < STYLE_SHARE else source
