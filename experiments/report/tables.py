"""Tables of plain text."""

from collections.abc import Sequence


def align(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A line a row below the header and a rule, cells under each other.

    Example: align(["a", "b"], [["long", "x"]]) is "a     b\\n----  -\\nlong  x".
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (header, rule, *rows)
    )
