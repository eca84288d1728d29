"""Makes the security problems: `python -m data.security` writes data/security/security.jsonl.

The families and the constants below decide everything; the same code writes the same bytes. A *variant* is a family
with one choice of parameters. It belongs to one split only, and no two variants of a family have the same program.
Every family has variants in train and in test, so that test measures what is learned in train.
"""

import json
from pathlib import Path
from random import Random

from data.security import ALL
from data.security.family import CWE, SecurityFamily, fill_blanks, safe_and_unsafe

SEED = 2026
FIRST_ID = 100_001  # above the ids of the embedded problems, so that the sets can be mixed
TEST_SHARE, VALID_SHARE = 0.2, 0.1  # of a family's variants; a fraction of a valid variant is rounded at random


def make_problems() -> list[dict]:
    """Every record, in random order."""
    records = []
    for family in ALL:
        splits = choose_splits(family)
        records += [make_record(family, params, split) for params, split in zip(family.params, splits, strict=True)]
        check_distinct(family, records[-len(splits) :])
    Random(SEED).shuffle(records)  # mixes the families, so that any part of the file is a fair sample
    for number, record in enumerate(records):
        record["task_id"] = FIRST_ID + number
    return records


def choose_splits(family: SecurityFamily) -> list[str]:
    """A split for each variant in random order, with at least one test variant."""
    rng, count = Random(f"{SEED}/split/{family.name}"), len(family.params)
    tests = max(1, round(count * TEST_SHARE))
    valids = int(count * VALID_SHARE + rng.random())
    splits = ["test"] * tests + ["valid"] * valids + ["train"] * (count - tests - valids)
    rng.shuffle(splits)
    return splits


def make_record(family: SecurityFamily, params: dict[str, str], split: str) -> dict:
    """One problem, with a random function name."""
    rng = Random(f"{SEED}/name/{family.name}/{json.dumps(params, sort_keys=True)}")
    blanks = params | {"f": rng.choice(family.names)}
    safe, unsafe = (fill_blanks(side, blanks) for side in safe_and_unsafe(family.code))
    return {
        "task_id": 0,
        "text": fill_blanks(family.text, blanks),
        "code": safe,
        "unsafe": unsafe,
        "test_list": [f"assert {fill_blanks(test, blanks)}" for test in family.tests],
        "family": family.name,
        "params": params,
        "tier": "security",
        "split": split,
        "rules": list(family.rules),
        "cwe": sorted({CWE[rule] for rule in family.rules}),
        "support": family.support,
    }


def check_distinct(family: SecurityFamily, records: list[dict]) -> None:
    """ValueError if two variants of a family have the same program, which could then be in train and in test."""
    programs = {fill_blanks(safe_and_unsafe(family.code)[0], record["params"] | {"f": "f"}) for record in records}
    if len(programs) < len(records):
        raise ValueError(f"{family.name}: two variants have the same program")


def write_problems(directory: Path) -> None:
    """Writes security.jsonl. json.dumps escapes the characters that change the direction of text (CWE-838)."""
    path, records = directory / "security.jsonl", make_problems()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    print(f"{path}: {len(records)} problems of {len(ALL)} families")
