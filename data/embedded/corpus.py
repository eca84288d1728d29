"""The pretraining text of the embedded base model: worked examples, many of them deliberately flawed.

The base has to be *imperfect*, so that RL has something to improve. Each family has a rate of wrong examples, and most
of these make the family's one systematic mistake. If the rate is high, greedy decoding writes that mistake, but the
text also has correct examples, so sampling finds them. In families of the tier "hard", 19 of 20 examples are wrong.
Further examples have slips, which break the code, or harmless bad style. Families that RL never trains on are as flawed
as the others.

The text uses the variants of the splits "train" and "text" (generate.py), and new parameters that no problem has. It
holds no problem of valid or test.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from string import ascii_lowercase

from data.embedded.families import ALL
from data.embedded.families.family import Family, Params, fill
from data.embedded.generate import (
    SEED,
    Variant,
    WordedVariant,
    call,
    choose_tests,
    is_short,
    load_function,
    make_variants,
    word_variant,
)
from data.embedded.habits import LOGIC, bad_style, good_bodies, slip, wrong_bodies
from data.prompts import docstring_prompt

WRONG_RATE = {"easy": (0.15, 0.70), "hard": (0.93, 0.96)}  # uniform between these, drawn once for each family
SYSTEMATIC_SHARE = 0.85  # of the wrong examples: the family's systematic mistake
GENERAL_SHARE = 0.7  # of the families: the mistake is a habit that applies to any code, else one of the family's own
SLIP_SHARE = 0.1  # of all examples: broken by a slip
FRESH_SHARE = 0.6  # of all examples: with parameters that no problem has
STYLE_SHARE = 0.11  # of the others: with bad style only
MARKS = "!#%&*+,-./:;<=>?@^_|~ "  # separators for fresh parameters


@dataclass(frozen=True)
class Mistake:
    """A family's systematic mistake: logic habit `habit` on good body `style`, or the wrong body `own`.

    `rate` is the family's share of wrong examples.
    """

    rate: float
    habit: int | None
    style: int
    own: int

    def body(self, family: Family, params: Params, arguments: tuple[str, ...]) -> str:
        """The wrong body; the family's own one if the habit does not apply."""
        own = fill(family.bad[self.own], params, arguments)
        if self.habit is None:
            return own
        return LOGIC[self.habit](good_bodies(family, params, arguments)[self.style]) or own


def choose_mistake(variant: Variant) -> Mistake:
    """Draws the wrong rate and the mistake of the variant's family. The mistake fails a test of the variant."""
    family, arguments, tests = variant.family, variant.arguments, choose_tests(variant)
    rng = Random(f"{SEED}/favourite/{family.name}")
    rate = rng.uniform(*WRONG_RATE[family.tier])
    general = [(habit, style) for habit in range(len(LOGIC)) for style in range(len(family.good))]
    rng.shuffle(general)
    own = Mistake(rate, None, 0, rng.randrange(len(family.bad)))
    if rng.random() >= GENERAL_SHARE:
        return own
    good = good_bodies(family, variant.params, arguments)
    for habit, style in general:
        body = LOGIC[habit](good[style])
        function = body and load_function(body, arguments)
        if function and any(call(function, inputs) != ("value", expected) for inputs, expected in tests):
            return Mistake(rate, habit, style, own.own)
    return own


def write_examples(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """`count` pairs of prompt and completion; the families take turns, everything else is random."""
    rng = Random(f"{SEED}/corpus/{seed}")
    by_family: dict[str, list[Variant]] = {}
    held_out = set()
    for variant in make_variants():
        if variant.split in ("train", "text"):
            by_family.setdefault(variant.family.name, []).append(variant)
        else:
            held_out.add(variant.key)
    mistakes = {name: choose_mistake(variants[0]) for name, variants in by_family.items()}
    for number in range(count):
        family = ALL[number % len(ALL)]
        variant = rng.choice(by_family[family.name])
        if rng.random() < FRESH_SHARE and not family.fixed:
            fresh = Variant(family, fresh_params(family, variant.params, rng), "text")
            variant = variant if fresh.key in held_out else fresh
        shown = draw_test(variant, rng)
        if shown is None:  # with the fresh parameters, tests are too long
            variant = rng.choice(by_family[family.name])
            shown = choose_tests(variant)[0]
        worded = word_variant(variant, [shown], rng.randrange(1000))
        completion = write_completion(worded, mistakes[family.name], rng).rstrip("\n")
        yield docstring_prompt(worded.text, worded.tests[0]), completion


def fresh_params(family: Family, params: Params, rng: Random) -> Params:
    """Like `params`, but with numbers, letters and separators that mostly occur in no problem.

    With the few listed values alone, the model memorizes them instead of copying from the request.
    """
    fresh = dict(params)
    for name, value in params.items():
        if type(value) is int:
            listed = [choice[name] for choice in family.params]
            fresh[name] = rng.randint(min(listed), max(listed) + (max(listed) - min(listed)) // 2 + 3)
        elif isinstance(value, str) and len(value) == 1:
            fresh[name] = rng.choice(ascii_lowercase if value.isalpha() else MARKS)
    ordered = "lo" not in fresh or fresh["lo"] < fresh["hi"]
    # This does not see a number inside a phrase ("add 5 to"), so families with phrases keep their values.
    return fresh if ordered and "phrase" not in params else params


def draw_test(variant: Variant, rng: Random) -> tuple[tuple, object] | None:
    """A random test of a variant that is short enough for a prompt; None after four failed draws."""
    reference = load_function(good_bodies(variant.family, variant.params, variant.arguments)[0], variant.arguments)
    for _ in range(4):
        inputs = variant.family.inputs(rng, variant.params)
        kind, expected = call(reference, inputs)
        if kind == "value" and is_short(inputs, expected):
            return inputs, expected
    return None


def write_completion(worded: WordedVariant, mistake: Mistake, rng: Random) -> str:
    """One answer to a problem: correct, wrong, broken or in bad style."""
    family, params, arguments = worded.variant.family, worded.variant.params, worded.arguments
    if rng.random() >= mistake.rate:
        body = rng.choice(good_bodies(family, params, arguments))
    elif rng.random() < SYSTEMATIC_SHARE:
        body = mistake.body(family, params, arguments)
    else:
        body = rng.choice(wrong_bodies(family, params, arguments))
    source = worded.source(body)
    if rng.random() < SLIP_SHARE:
        return slip(source, rng)
    return bad_style(source, rng) if rng.random() < STYLE_SHARE else source
