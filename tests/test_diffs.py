"""docs/diffs.md against the algorithm files."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_page_of_differences_is_up_to_date():
    """A changed loss, while the page still shows the old one."""
    made = runpy.run_path(str(ROOT / "docs" / "make_diffs.py"))["page"]()
    assert made == (ROOT / "docs" / "diffs.md").read_text(encoding="utf-8"), "run: python docs/make_diffs.py"


def test_docstrings_are_left_out_and_comments_stay(tmp_path):
    """Prose that hides the differences, or a comment that is taken for a docstring."""
    code_lines = runpy.run_path(str(ROOT / "docs" / "make_diffs.py"))["code_lines"]
    path = tmp_path / "a.py"
    path.write_text('"""Module.\n\nMore.\n"""\n\nx = "kept"  # kept\n\n\ndef f():\n    """Gone."""\n    return x\n')
    assert code_lines(path) == ['x = "kept"  # kept', "", "", "def f():", "    return x"]
