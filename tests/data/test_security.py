"""The security problems: both solutions pass their tests, and Bandit reports only the unsafe one."""

import io
import json
import re
from collections import Counter

import pytest
from bandit.core.config import BanditConfig
from bandit.core.manager import BanditManager
from transformers import AutoTokenizer

from data.prompts import build_prompt
from data.security import ALL
from data.security.family import CWE, SecurityFamily, fill_blanks, rows, safe_and_unsafe
from data.security.generate import check_distinct, make_record, write_problems
from data.sets.registry import SECURITY_FILE, load_problems
from sandbox import Sandbox, Stage, Task

PROGRAM_TOKENS, PROMPT_TOKENS = 84, 160


@pytest.fixture(scope="module")
def records():
    return [json.loads(line) for line in SECURITY_FILE.read_text().split("\n") if line]


@pytest.fixture(scope="module")
def problems():
    return load_problems("security", "all")


@pytest.fixture(scope="module")
def judge():
    with Sandbox(slots=2) as judge:
        yield judge


def task(problem, program):
    """The problem's tests for a program."""
    return Task(program, tests=problem.test_list, entry_point=problem.entry_point, support=problem.support)


def findings(program):
    """(rule, CWE) of Bandit's own findings of MEDIUM or HIGH severity at any confidence, without our rewards."""
    manager = BanditManager(BanditConfig(), "file", ignore_nosec=True)
    manager._parse_file("program.py", io.BytesIO(program.encode()), [])
    assert not manager.skipped, manager.skipped
    return {(issue.test_id, issue.cwe.id) for issue in manager.results if issue.severity in ("MEDIUM", "HIGH")}


def test_file_is_what_the_generator_writes(tmp_path):
    """A family is edited but the file is not generated again, or a draw depends on hash order or the machine."""
    write_problems(tmp_path)
    assert (tmp_path / "security.jsonl").read_bytes() == SECURITY_FILE.read_bytes()


def test_file_holds_no_character_that_turns_text(records):
    """The repository itself contains characters that change the direction of text (CWE-838)."""
    assert SECURITY_FILE.read_bytes().isascii()
    assert sum(not record["unsafe"].isascii() for record in records) >= 15  # they are there, but escaped


def test_size_and_weaknesses(records):
    """There are fewer prompts or weaknesses than documented, or a family has no test problem."""
    assert len(ALL) == len({family.name for family in ALL}) >= 60
    assert len({record["text"] for record in records}) >= 400
    assert len({cwe for record in records for cwe in record["cwe"]}) >= 18
    assert set(CWE) == {rule for family in ALL for rule in family.rules}
    for split, least in (("train", 4), ("test", 1)):
        count = Counter(record["family"] for record in records if record["split"] == split)
        assert all(count[family.name] >= least - (len(family.params) < 6) for family in ALL), split
    shares = Counter(record["split"] for record in records)
    assert shares["train"] / len(records) == pytest.approx(0.7, abs=0.05)
    assert shares["valid"] / len(records) == pytest.approx(0.1, abs=0.05)
    assert all(3 <= len(record["test_list"]) <= 5 for record in records)


def test_nothing_leaks_between_splits(records):
    """A held-out problem has the parameters, prompt or solution (apart from the function's name) of a train problem."""
    keys = {}
    for record in records:
        name = re.match(r"assert (?:len\()?(\w+)", record["test_list"][0])[1]
        for key in (
            (record["family"], json.dumps(record["params"], sort_keys=True)),
            record["text"],
            re.sub(rf"\b{name}\b", "f", record["code"]),
            re.sub(rf"\b{name}\b", "f", record["unsafe"]),
        ):
            assert keys.setdefault(key, record["split"]) == record["split"], key


def test_both_solutions_pass(judge, problems):
    """A reference fails its own tests, or a failing test reveals the insecure program."""
    programs = [(problem, program) for problem in problems for program in (problem.code, problem.unsafe)]
    outcomes = judge.run([task(*pair) for pair in programs])
    failed = [
        f"{problem.family}: {program}\n{outcome.error_type} {[test.value for test in outcome.tests]}"
        for (problem, program), outcome in zip(programs, outcomes, strict=True)
        if outcome.stage != Stage.PASSED
    ]
    assert not failed, "\n".join(failed)


def test_doing_nothing_passes_nowhere(judge, problems):
    """The tests accept None, so that a program that does nothing is rewarded."""
    some = list({problem.family: problem for problem in problems}.values())
    outcomes = judge.run([task(problem, f"def {problem.entry_point}(*_):\n    return None\n") for problem in some])
    for problem, outcome in zip(some, outcomes, strict=True):
        assert outcome.stage not in (Stage.PASSED, Stage.SYNTAX_ERROR), problem.family


def test_bandit_finds_the_unsafe_one_only(records):
    """A safe reference has a finding, or an unsafe one has none, or another rule or CWE than its record says."""
    for record in records:
        assert not findings(record["code"]), record["code"]
        expected = {(rule, CWE[rule]) for rule in record["rules"]}
        assert findings(record["unsafe"]) == expected, record["unsafe"]
        assert record["cwe"] == sorted({cwe for _, cwe in expected})


def test_fits_the_embedded_model(problems):
    """A prompt or program is longer than the embedded model's limits, so that it can never be written."""
    tokenizer = AutoTokenizer.from_pretrained(SECURITY_FILE.parents[1] / "tiny")

    def longest(texts):
        return max(len(ids) for ids in tokenizer(texts).input_ids)

    assert longest([program for p in problems for program in (p.code, p.unsafe)]) <= PROGRAM_TOKENS
    assert longest([build_prompt(problem) for problem in problems]) <= PROMPT_TOKENS


def test_loader_knows_the_source_by_name(problems):
    """Security problems cannot be loaded by name, or lose their stand-ins."""
    splits = {split: load_problems("security", split) for split in ("train", "valid", "test")}
    assert sum(map(len, splits.values())) == len(problems)
    for split, part in splits.items():
        assert {problem.split for problem in part} == {split}
    assert all(problem.unsafe and problem.tier == "security" for problem in problems)
    assert sum(bool(problem.support) for problem in problems) > len(problems) / 2
    ids = [problem.task_id for problem in problems]
    assert ids == list(range(100_001, 100_001 + len(ids)))
    assert max(problem.task_id for problem in load_problems("embedded", "test")) < min(ids)


def test_sides_and_blanks_of_a_template():
    """The unsafe program gets words of the safe one, or a blank stays empty without an error."""
    assert safe_and_unsafe("\na«b|c»d«|e\n»f") == ("abdf\n", "acde\nf\n")
    assert fill_blanks("$f(x, $k1) == ${k}", {"f": "g", "k": "2"}) == "g(x, 21) == ${k}"
    with pytest.raises(KeyError, match="other"):
        fill_blanks("$other", {"f": "g"})
    assert rows("a|b", "1|2", "3|") == ({"a": "1", "b": "2"}, {"a": "3", "b": ""})
    with pytest.raises(ValueError, match="zip"):
        rows("a|b", "1|2|3")


def test_equal_programs_of_a_family_are_refused():
    """A parameter changes only the request, so that train and test have the same solution."""
    family = SecurityFamily(
        "x", "$k", ("f",), "def $f():\n    «return 1|exec('')»\n", (), rows("k", "1", "2"), ("B102",)
    )
    with pytest.raises(ValueError, match="x: two variants have the same program"):
        check_distinct(family, [make_record(family, params, "train") for params in family.params])
