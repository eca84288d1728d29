"""The embedded problems: their splits, tests and references."""

import json
from collections import Counter
from random import Random

import pytest

from data.embedded import corpus, generate
from data.embedded.families import ALL
from data.embedded.families.family import fill, function_source
from data.embedded.generate import (
    ARGUMENTS,
    LEAST_TESTS,
    call,
    choose_tests,
    load_function,
    make_variants,
    write_problems,
)
from data.embedded.habits import good_bodies, wrong_bodies
from data.sets.registry import EMBEDDED_DIRECTORY, load_problems


@pytest.fixture(scope="module")
def records():
    return {
        split: [json.loads(line) for line in (EMBEDDED_DIRECTORY / f"{split}.jsonl").read_text().splitlines()]
        for split in ("train", "valid", "test")
    }


@pytest.fixture(scope="module", autouse=True)
def tests_of():
    """choose_tests with a memory, because it takes most of the time; generator and corpus use it, too."""
    found = {}

    def choose_once(variant):
        key = variant.family.name, json.dumps(variant.params, sort_keys=True)
        if key not in found:
            found[key] = choose_tests(variant)
        return found[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in (generate, corpus):
            patch.setattr(module, "choose_tests", choose_once)
        yield choose_once


def test_files_are_what_the_generator_writes(tmp_path):
    """A family is edited but the files are not generated again, or a draw depends on hash order or the machine."""
    write_problems(tmp_path)
    for split in ("train", "valid", "test"):
        assert (tmp_path / f"{split}.jsonl").read_bytes() == (EMBEDDED_DIRECTORY / f"{split}.jsonl").read_bytes(), split


def test_sizes_of_splits(records):
    """A split is too small to measure on, or the test split has too few unseen families."""
    assert len(ALL) >= 60
    assert len(records["train"]) >= 2000
    assert len(records["valid"]) >= 200
    assert len(records["test"]) >= 400
    unseen = [r for r in records["test"] if r["split"] == "test/unseen"]
    assert len(unseen) >= len(records["test"]) / 4
    assert {r["tier"] for r in records["test"]} == {"easy", "hard"}


def test_nothing_leaks_between_splits(records):
    """A held-out problem has the family and parameters, or the solution, of a train problem."""

    def keys(split):
        parameters = {(r["family"], json.dumps(r["params"], sort_keys=True)) for r in records[split]}
        solutions = {neutral_name(r["code"]) for r in records[split]}
        return parameters, solutions

    trained, solved = keys("train")
    for split in ("valid", "test"):
        parameters, solutions = keys(split)
        assert not parameters & trained
        assert not solutions & solved
    families = {r["family"] for r in records["train"]}
    for split in ("valid", "test"):
        for record in records[split]:
            assert (record["family"] not in families) == record["split"].endswith("/unseen"), record["family"]


def neutral_name(code):
    """The solution without its function's name."""
    return code[code.index("(") :]


def test_pretraining_text_holds_no_held_out_problem():
    """The base model is pretrained on the answers of the evaluation."""
    held_out = {
        (v.family.name, json.dumps(v.params, sort_keys=True))
        for v in make_variants()
        if v.split.partition("/")[0] in ("valid", "test")
    }
    used = set()
    original = corpus.word_variant
    try:
        corpus.word_variant = lambda variant, tests, index: (
            used.add((variant.family.name, json.dumps(variant.params, sort_keys=True)))
            or original(variant, tests, index)
        )
        for _ in corpus.write_examples(6000, seed=1):
            pass
    finally:
        corpus.word_variant = original
    assert len(used) > 1000
    assert not used & held_out


def test_every_reference_passes_its_tests(records):
    """A test expects a wrong value, so that a correct program fails."""
    for split in records:
        for record in records[split]:
            namespace = {}
            exec(record["code"], namespace)
            assert len(record["test_list"]) >= LEAST_TESTS
            for test in record["test_list"]:
                exec(test, namespace)


def test_tests_kill_wrong_bodies(tests_of):
    """Weak tests reward wrong programs. Wrong: differs from the reference on any of 300 new inputs."""
    survivors, wrong_count = Counter(), 0
    for variant in make_variants()[::4]:
        arguments = ARGUMENTS[: len(variant.family.args)]
        reference = load_function(good_bodies(variant.family, variant.params, arguments)[0], arguments)
        rng = Random(f"fresh {variant.family.name} {variant.params}")
        fresh = [variant.family.inputs(rng, variant.params) for _ in range(300)]
        expected = [call(reference, inputs) for inputs in fresh]
        tests = tests_of(variant)
        for body in wrong_bodies(variant.family, variant.params, arguments):
            function = load_function(body, arguments)
            if function is None:
                wrong_count += 1
                continue
            if all(call(function, inputs) == result for inputs, result in zip(fresh, expected, strict=True)):
                continue  # not wrong, only written differently
            wrong_count += 1
            if all(call(function, inputs) == ("value", result) for inputs, result in tests):
                survivors[variant.family.name, body] += 1
    assert wrong_count > 3000
    assert sum(survivors.values()) / wrong_count <= 0.01, survivors.most_common(20)


def test_all_styles_of_a_family_agree_with_its_reference(tests_of):
    """A correct body is wrong for some parameters, so that the base learns an unplanned mistake."""
    for variant in make_variants()[::7]:
        tests_of(variant)  # raises ValueError on disagreement


def test_wordings_state_the_parameters():
    """A wording does not mention a parameter, so that the task is impossible."""
    for family in ALL:
        shown = [fill(text, family.params[0], ()) for text in family.texts]
        other = [fill(text, family.params[-1], ()) for text in family.texts]
        assert all(a != b for a, b in zip(shown, other, strict=True)), family.name


def test_prompt_shows_one_test_only():
    """The prompt shows the hidden tests."""
    from data.prompts import build_prompt

    for problem in load_problems("embedded", "test")[:50]:
        prompt = build_prompt(problem)
        assert problem.test_list[0] in prompt
        assert not any(test in prompt for test in problem.test_list[1:])


def test_function_source_indents_every_line():
    """Only the first line of a body is in the function."""
    source = function_source("f", ("x",), "if x:\n    return 1\nreturn 2")
    assert source == "def f(x):\n    if x:\n        return 1\n    return 2\n"
