"""Makes the embedded problems: `python -m data.embedded.generate` writes data/embedded/{train,valid,test}.jsonl.

Everything follows from the families and the constants below; the same code writes the same bytes.

Splits. A *variant* is a family with one choice of parameters, and belongs to one split only, so no problem of
valid or test shares its (family, parameters) with train. Families marked `unseen` never reach train: some of
their variants form "valid/unseen" and "test/unseen", the rest ("text") occurs in the pretraining text alone.
Variants whose reference equals one of another split but for the function's name are left out.

Tests. For each variant inputs are drawn, the reference gives the expected results, every other correct body
must agree, and asserts are chosen greedily until every wrong body that differs anywhere on the drawn inputs
fails at least one of them. The first assert is shown in the prompt, the others are hidden.
"""

import copy
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from data.embedded.families import ALL
from data.embedded.families.family import Family, Params, fill, function_source
from data.embedded.habits import good_bodies, wrong_bodies
from data.sets.registry import EMBEDDED

SEED = 2026
INPUTS = 60  # drawn per variant; the asserts are chosen among them
LEAST_TESTS, MOST_TESTS = 4, 6
TEST_SHARE, VALID_SHARE = 0.19, 0.11  # of a trained family's variants
UNSEEN_TEST, UNSEEN_VALID = 6, 3  # variants of each unseen family, fewer where it has few
WORDINGS = 2  # problems made from each train variant
LONGEST_ASSERT = 96  # characters; keeps prompts short


@dataclass(frozen=True)
class Variant:
    """A family with its parameters, and the split that it belongs to."""

    family: Family
    params: Params
    split: str

    def rng(self, purpose: str) -> Random:
        """A generator of its own, so that adding a family changes no other family's problems."""
        return Random(f"{SEED}/{purpose}/{self.family.name}/{json.dumps(self.params, sort_keys=True)}")


def make_variants() -> list[Variant]:
    """Every variant of every family with its split; duplicates of an earlier reference are left out."""
    variants, owner = [], {}
    for family in ALL:
        shuffled = sorted(
            family.params,
            key=lambda params: Random(f"{SEED}/split/{family.name}/{params}").random(),
        )
        for index, params in enumerate(shuffled):
            split = split_of(family, index, len(shuffled))
            reference = function_source("f", ARGUMENTS[: len(family.args)], fill(family.good[0], params, ARGUMENTS))
            if owner.setdefault(reference, split) == split:
                variants.append(Variant(family, params, split))
    return variants


ARGUMENTS = ("a", "b")  # neutral names, for comparing references


def split_of(family: Family, index: int, count: int) -> str:
    """The split of the variant at `index` of a family's shuffled variants."""
    if family.unseen:
        tests, valids = min(UNSEEN_TEST, count // 2), min(UNSEEN_VALID, count // 5)
        return "test/unseen" if index < tests else "valid/unseen" if index < tests + valids else "text"
    tests, valids = max(1, round(count * TEST_SHARE)), max(1, round(count * VALID_SHARE))
    return "test" if index < tests else "valid" if index < tests + valids else "train"


def load_function(body: str, arguments: tuple[str, ...]) -> Callable | None:
    """The function of a body; None where a habit has made it unparseable."""
    namespace: dict = {"print": lambda *_: None}  # some wrong bodies print
    try:
        exec(function_source("f", arguments, body), namespace)  # nosec B102: our own source
    except SyntaxError:
        return None
    return namespace["f"]


def call(function: Callable, inputs: tuple) -> tuple[str, object]:
    """("value", result) or ("error", type name). The inputs are copied: a body may change them."""
    try:
        return "value", function(*copy.deepcopy(inputs))
    except (ArithmeticError, AttributeError, LookupError, NameError, TypeError, ValueError) as error:
        return "error", type(error).__name__


def choose_tests(variant: Variant) -> list[tuple[tuple, object]]:
    """The (inputs, expected) pairs of a variant, best first test first. Raises ValueError for a faulty family."""
    family, params = variant.family, variant.params
    arguments = ARGUMENTS[: len(family.args)]
    rng = variant.rng("inputs")
    drawn = {repr(inputs): inputs for inputs in (family.inputs(rng, params) for _ in range(INPUTS))}
    reference, *others = [load_function(body, arguments) for body in good_bodies(family, params, arguments)]
    cases = []
    for inputs in drawn.values():
        kind, expected = call(reference, inputs)
        for other in others:
            if call(other, inputs) != (kind, expected):
                raise ValueError(f"{family.name} {params}: correct bodies disagree on {inputs}")
        if kind == "value" and len(assertion("f" * 14, inputs, expected)) <= LONGEST_ASSERT:
            cases.append((inputs, expected))
    wrong = [load_function(body, arguments) for body in wrong_bodies(family, params, arguments)]
    kills = [
        {i for i, f in enumerate(wrong) if f is not None and call(f, inputs) != ("value", expected)}
        for inputs, expected in cases
    ]
    return order_tests([cases[i] for i in cover(kills, cases)], family, params)


def cover(kills: list[set[int]], cases: list) -> list[int]:
    """Greedy cover: cases until all that can be killed is killed; then up to the least number of tests."""
    chosen: list[int] = []
    alive = set().union(*kills)
    while alive and len(chosen) < MOST_TESTS:
        best = max(range(len(cases)), key=lambda i: (len(kills[i] & alive), -len(repr(cases[i]))))
        chosen.append(best)
        alive -= kills[best]
    rest = sorted(set(range(len(cases))) - set(chosen), key=lambda i: (-len(kills[i]), len(repr(cases[i]))))
    return chosen + rest[: max(0, LEAST_TESTS - len(chosen))]


def order_tests(tests: list[tuple[tuple, object]], family: Family, params: Params) -> list[tuple[tuple, object]]:
    """Puts a short test with a telling result first: that one the prompt shows."""
    if len(tests) < LEAST_TESTS:
        raise ValueError(f"{family.name} {params}: only {len(tests)} different tests")
    telling = [test for test in tests if test[1] not in (0, [], "", {}, False, None)] or tests
    first = min(telling, key=lambda test: len(repr(test)))
    return [first, *(test for test in tests if test is not first)]


def assertion(name: str, inputs: tuple, expected: object) -> str:
    return f"assert {name}({', '.join(map(repr, inputs))}) == {expected!r}"


@dataclass(frozen=True)
class Worded:
    """A variant with its wording and names chosen: all that a problem or a training example needs."""

    variant: Variant
    name: str
    arguments: tuple[str, ...]
    text: str
    tests: tuple[str, ...]


def word_variant(variant: Variant, tests: list[tuple[tuple, object]], index: int) -> Worded:
    """Wording number `index` of a variant; the function's and arguments' names are drawn."""
    family = variant.family
    rng = variant.rng(f"wording{index}")
    wordings = list(family.texts)
    variant.rng("wordings").shuffle(wordings)
    name = rng.choice(family.names)
    wording = fill(wordings[index % len(wordings)], variant.params, ())
    return Worded(
        variant,
        name,
        tuple(rng.choice(names.split("|")) for names in family.args),
        f"Write a function to {wording}.",
        tuple(assertion(name, inputs, expected) for inputs, expected in tests),
    )


def make_problems() -> dict[str, list[dict]]:
    """The records of every file: {"train": [...], "valid": [...], "test": [...]}."""
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
        Random(SEED).shuffle(records)  # families mixed, so that any stretch of a file is a fair sample
        for record in records:
            task_id += 1
            record["task_id"] = task_id
    return files


def make_record(worded: Worded) -> dict:
    family, params = worded.variant.family, worded.variant.params
    body = fill(family.good[0], params, worded.arguments)
    return {
        "task_id": 0,
        "text": worded.text,
        "code": function_source(worded.name, worded.arguments, body),
        "test_list": list(worded.tests),
        "family": family.name,
        "params": params,
        "tier": family.tier,
        "split": worded.variant.split,
    }


def write_problems(directory: Path) -> None:
    """Writes the three files; each is complete or not there."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, records in make_problems().items():
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        temporary = directory / f"{name}.jsonl.tmp"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(directory / f"{name}.jsonl")
        print(f"{directory / name}.jsonl: {len(records)} problems")


if __name__ == "__main__":
    write_problems(Path(sys.argv[1]) if len(sys.argv) > 1 else EMBEDDED)
