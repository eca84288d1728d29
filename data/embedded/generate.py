"""Makes the embedded problems: `python -m data.embedded.generate` writes data/embedded/{train,valid,test}.jsonl.

The families and the constants below decide everything; the same code writes the same bytes.

Splits. A *variant* is a family with one choice of parameters. It belongs to one split only, so no problem of valid or
test has its (family, parameters) in train. Families marked `unseen` are never in train: some of their variants form
"valid/unseen" and "test/unseen", the others ("text") occur in the pretraining text only. A variant is left out if its
reference, apart from the function's name, equals that of a variant in another split.

Tests. For each variant, inputs are drawn, the reference gives the expected results, and every other correct body must
agree. Asserts are chosen greedily until every wrong body that differs on any drawn input fails at least one of them.
The prompt shows the first assert and hides the others.
"""

import argparse
import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from data.embedded.families import ALL
from data.embedded.families.family import Family, Params, fill, function_source
from data.embedded.habits import good_bodies, wrong_bodies

SEED = 2026
INPUTS = 60  # drawn per variant; the asserts are chosen among them
LEAST_TESTS, MOST_TESTS = 4, 6
TEST_SHARE, VALID_SHARE = 0.19, 0.11  # of a trained family's variants
UNSEEN_TEST, UNSEEN_VALID = 6, 3  # variants of each unseen family; fewer if it has few
WORDINGS = 2  # problems made from each train variant
LONGEST_ASSERT = 96  # characters; keeps prompts short
ARGUMENTS = ("a", "b")  # neutral argument names, for comparing references


@dataclass(frozen=True)
class Variant:
    """A family with its parameters, and the split that it belongs to."""

    family: Family
    params: Params
    split: str

    @property
    def arguments(self) -> tuple[str, ...]:
        """Neutral names for the arguments."""
        return ARGUMENTS[: len(self.family.args)]

    @property
    def key(self) -> str:
        """The family and the parameters as text."""
        return f"{self.family.name}/{json.dumps(self.params, sort_keys=True)}"

    def rng(self, purpose: str) -> Random:
        """Random numbers for one purpose. They depend on this variant only, so a new family changes no other's
        problems."""
        return Random(f"{SEED}/{purpose}/{self.key}")


def make_variants() -> list[Variant]:
    """Every variant of every family with its split, without duplicates of a reference in another split."""
    variants, split_of_reference = [], {}
    for family in ALL:
        shuffled = sorted(family.params, key=lambda params: Random(f"{SEED}/split/{family.name}/{params}").random())
        for index, params in enumerate(shuffled):
            variant = Variant(family, params, choose_split(family, index))
            reference = function_source("f", variant.arguments, fill(family.good[0], params, ARGUMENTS))
            if split_of_reference.setdefault(reference, variant.split) == variant.split:
                variants.append(variant)
    return variants


def choose_split(family: Family, index: int) -> str:
    """The split of the variant at `index` of a family's shuffled variants."""
    count = len(family.params)
    if family.unseen:
        tests, valids = min(UNSEEN_TEST, count // 2), min(UNSEEN_VALID, count // 5)
        return "test/unseen" if index < tests else "valid/unseen" if index < tests + valids else "text"
    tests, valids = max(1, round(count * TEST_SHARE)), max(1, round(count * VALID_SHARE))
    return "test" if index < tests else "valid" if index < tests + valids else "train"


def load_function(body: str, arguments: tuple[str, ...]) -> Callable | None:
    """The function with this body; None if a habit has made it unparseable."""
    namespace: dict = {"print": lambda *_: None}  # some wrong bodies print
    try:
        exec(function_source("f", arguments, body), namespace)  # nosec B102: our own source
    except SyntaxError:
        return None
    return namespace["f"]


def call(function: Callable, inputs: tuple) -> tuple[str, object]:
    """("value", result) or ("error", type name). The inputs are copied, because a body may change them."""
    try:
        return "value", function(*copy.deepcopy(inputs))
    except (ArithmeticError, AttributeError, LookupError, NameError, TypeError, ValueError) as error:
        return "error", type(error).__name__


def choose_tests(variant: Variant) -> list[tuple[tuple, object]]:
    """The (inputs, expected) pairs of a variant; the prompt shows the first. ValueError if the family is faulty."""
    family, params, arguments = variant.family, variant.params, variant.arguments
    rng = variant.rng("inputs")
    drawn = {repr(inputs): inputs for inputs in (family.inputs(rng, params) for _ in range(INPUTS))}
    reference, *others = [load_function(body, arguments) for body in good_bodies(family, params, arguments)]
    cases = []
    for inputs in drawn.values():
        kind, expected = call(reference, inputs)
        if any(call(other, inputs) != (kind, expected) for other in others):
            raise ValueError(f"{family.name} {params}: correct bodies disagree on {inputs}")
        if kind == "value" and is_short(inputs, expected):
            cases.append((inputs, expected))
    wrong = [load_function(body, arguments) for body in wrong_bodies(family, params, arguments)]
    kills = [
        {i for i, f in enumerate(wrong) if f is not None and call(f, inputs) != ("value", expected)}
        for inputs, expected in cases
    ]
    tests = [cases[i] for i in cover(kills, cases)]
    if len(tests) < LEAST_TESTS:
        raise ValueError(f"{family.name} {params}: only {len(tests)} different tests")
    informative = [test for test in tests if test[1] not in (0, [], "", {}, False, None)] or tests
    first = min(informative, key=lambda test: len(repr(test)))
    return [first, *(test for test in tests if test is not first)]


def cover(kills: list[set[int]], cases: list) -> list[int]:
    """Indices of cases by greedy cover, until every wrong body that can fail does; then up to the fewest tests.

    kills  for each case, the wrong bodies that fail it
    """
    chosen: list[int] = []
    alive = set().union(*kills)
    while alive and len(chosen) < MOST_TESTS:
        best = max(range(len(cases)), key=lambda i: (len(kills[i] & alive), -len(repr(cases[i]))))
        chosen.append(best)
        alive -= kills[best]
    rest = sorted(set(range(len(cases))) - set(chosen), key=lambda i: (-len(kills[i]), len(repr(cases[i]))))
    return chosen + rest[: max(0, LEAST_TESTS - len(chosen))]


def assertion(name: str, inputs: tuple, expected: object) -> str:
    return f"assert {name}({', '.join(map(repr, inputs))}) == {expected!r}"


def is_short(inputs: tuple, expected: object) -> bool:
    """Whether the assert is short enough for a prompt, with a function name of 14 characters."""
    return len(assertion("f" * 14, inputs, expected)) <= LONGEST_ASSERT


@dataclass(frozen=True)
class WordedVariant:
    """A variant with its wording and names: everything that a problem or a training example needs."""

    variant: Variant
    name: str
    arguments: tuple[str, ...]
    text: str
    tests: tuple[str, ...]

    def source(self, body: str) -> str:
        return function_source(self.name, self.arguments, body)


def word_variant(variant: Variant, tests: list[tuple[tuple, object]], index: int) -> WordedVariant:
    """Wording number `index` of a variant, with random names of the function and its arguments."""
    family = variant.family
    rng = variant.rng(f"wording{index}")
    wordings = list(family.texts)
    variant.rng("wordings").shuffle(wordings)
    name = rng.choice(family.names)
    arguments = tuple(rng.choice(names.split("|")) for names in family.args)
    text = f"Write a function to {fill(wordings[index % len(wordings)], variant.params, ())}."
    return WordedVariant(variant, name, arguments, text, tuple(assertion(name, *test) for test in tests))


def make_problems() -> dict[str, list[dict]]:
    """The records of each file: {"train": [...], "valid": [...], "test": [...]}."""
    files: dict[str, list[dict]] = {"train": [], "valid": [], "test": []}
    for variant in make_variants():
        if variant.split == "text":
            continue
        tests = choose_tests(variant)
        records = files[variant.split.partition("/")[0]]
        for index in range(WORDINGS if variant.split == "train" else 1):
            records.append(make_record(word_variant(variant, tests, index)))
    task_id = 0
    for records in files.values():
        Random(SEED).shuffle(records)  # mixes the families, so that any part of a file is a fair sample
        for record in records:
            task_id += 1
            record["task_id"] = task_id
    return files


def make_record(worded: WordedVariant) -> dict:
    family, params = worded.variant.family, worded.variant.params
    return {
        "task_id": 0,
        "text": worded.text,
        "code": worded.source(fill(family.good[0], params, worded.arguments)),
        "test_list": list(worded.tests),
        "family": family.name,
        "params": params,
        "tier": family.tier,
        "split": worded.variant.split,
    }


def write_problems(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, records in make_problems().items():
        path = directory / f"{name}.jsonl"
        path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
        print(f"{path}: {len(records)} problems")


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m data.embedded.generate", description="Writes the three jsonl files.")
    parser.add_argument("directory", type=Path, nargs="?", default=Path(__file__).parent)
    write_problems(parser.parse_args().directory)
