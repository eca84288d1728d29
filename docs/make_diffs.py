"""Writes docs/diffs.md, the algorithm files as differences: `python docs/make_diffs.py`."""

import ast
import difflib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "diffs.md"
STEPS = (("reinforce", "rloo"), ("rloo", "grpo"), ("grpo", "gspo"), ("grpo", "ppo"))
INTRO = """# The algorithm files as differences

Each section shows what changes from one file of `rl/` to the next, without docstrings. The equations and the reasons
are in the docstrings: read them in the files. `python docs/make_diffs.py` writes this page; `tests/test_diffs.py`
checks that it is up to date.
"""


def code_lines(path: Path) -> list[str]:
    """The lines of a file without the docstrings of its module, classes and functions; comments stay."""
    source = path.read_text(encoding="utf-8")
    dropped = set()
    for node in ast.walk(ast.parse(source)):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and ast.get_docstring(node) is not None:
            text = node.body[0]
            dropped |= set(range(text.lineno, text.end_lineno + 1))
    kept = [line for number, line in enumerate(source.splitlines(), start=1) if number not in dropped]
    return "\n".join(kept).strip("\n").split("\n")


def section(old: str, new: str) -> str:
    """One difference in Markdown, with three lines of context."""
    names = f"rl/{old}.py", f"rl/{new}.py"
    before, after = (code_lines(ROOT / name) for name in names)
    lines = difflib.unified_diff(before, after, *names, lineterm="")
    return f"\n## {old} to {new}\n\n```diff\n" + "\n".join(lines) + "\n```\n"


def page() -> str:
    """The text of docs/diffs.md."""
    return INTRO + "".join(section(old, new) for old, new in STEPS)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
