"""Markdown as GitHub reads it: escaping, tables, folded parts."""

from __future__ import annotations

import re
from collections.abc import Sequence

BREAK = "<br>"


def plain(text: object) -> str:
    """Text that is shown as it is, on one line."""
    return re.sub(r"([\\`*\[\]<>|~&]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(str(text).split()))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table, the first column left, the others right, padded so that the source can be read too."""
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    rule = [":" + "-" * (widths[0] + 1), *("-" * (width + 1) + ":" for width in widths[1:])]
    return [lines[0], "|" + "|".join(rule) + "|", *lines[1:], ""]


def code(text: str, language: str = "") -> list[str]:
    """The lines of a block of code, fenced so that no line of it can end it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence + language, *text.splitlines(), fence, ""]


def folded(summary: str, lines: Sequence[str]) -> list[str]:
    """The lines of a part that opens at a click."""
    return ["<details>", f"<summary>{summary}</summary>", "", *lines, "</details>", ""]


def link(text: str, target: str) -> str:
    return f"[{text}]({target})"
