"""From a completion back to its program."""

import pytest

from data.prompts import extract_program

CODE = "def f():\n    return 1\n"


@pytest.mark.parametrize(
    ("completion", "program", "fenced"),
    [
        (CODE, CODE, False),
        ("", "", False),
        (f"```python\n{CODE}```", CODE, True),
        (f"Sure:\n```\n{CODE}```\nx = 2\n", CODE, True),
        (f"``` py \r\n{CODE}  ```  \nmore", CODE, True),
        (f"```bash\nls\n```\n```python\n{CODE}```", CODE, True),
        (f"```python\n{CODE}```\n```python\nx = 3\n```", CODE, True),
        (f"```python\n{CODE}", CODE, False),
        (f"```python\n{CODE}# ```\n", CODE + "# ```\n", False),
        ("```python", "", False),
        ("x = '```python'\n", "x = '```python'\n", False),
        ("```python\n```", "", True),
    ],
)
def test_the_first_block_is_the_program(completion, program, fenced):
    """Text around a fence that is executed, a second block that is, or an open fence that counts as closed."""
    start, end, found = extract_program(completion)
    assert (completion[start:end], found) == (program, fenced)
