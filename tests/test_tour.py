"""docs/tour.md against the comments `# station N: ...` in the code."""

import re
from dataclasses import fields
from pathlib import Path

from rl.rollout import Rollout

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
STATION = re.compile(r"^## (\d+)\. (.+)\n\n`(.+)`, `(.+)`$", re.MULTILINE)


def marked():
    """The stations of the code, as (number, words, file, function)."""
    for room in ("rl", "rewards", "sandbox", "data", "experiments"):
        for path in sorted((ROOT / room).rglob("*.py")):
            owner = ""
            lines = path.read_text(encoding="utf-8").splitlines()
            for line, following in zip(lines, lines[1:], strict=False):
                if line.startswith("class "):
                    owner = re.match(r"class (\w+)", line)[1] + "."
                elif line.startswith("def "):
                    owner = ""
                if found := re.match(r"( *)# station (\d+): (.+)", line):
                    name = re.match(r" *(?:def|class) (\w+)", following)
                    assert name, f"{path}: station {found[2]} does not stand directly above a def or class"
                    yield found[2], found[3], str(path.relative_to(ROOT)), (owner if found[1] else "") + name[1]


def test_the_stations_of_the_page_and_of_the_code_are_the_same():
    """A function that was moved or renamed, and a page that still sends the reader to the old place."""
    page, code = STATION.findall(PAGE), sorted(marked(), key=lambda station: int(station[0]))
    assert [station[0] for station in page] == [str(number) for number in range(1, 13)]
    assert page == code


def test_every_field_of_the_record_is_set_at_one_station():
    """A new field of the record that the page does not know, or one that is gone."""
    set_here = re.findall(r"Set here:(.+?)(?:\.\s|,? the mean)", PAGE, re.DOTALL)
    named = [name for text in set_here for name in re.findall(r"`(\w+)`", text)]
    assert sorted(named) == sorted(field.name for field in fields(Rollout))
