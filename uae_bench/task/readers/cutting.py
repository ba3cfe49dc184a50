"""Long text into passages, and answer spans onto them."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

Span = tuple[int, int]

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class CutText:
    """A text and the character spans [start, end) of its passages, in order, without overlap.

    A span reaches from the first character of its first word to the end of its last word.
    """

    text: str
    spans: tuple[Span, ...]

    def passages(self) -> list[str]:
        """The passages' texts, white space between words as in the source."""
        return [self.text[start:end] for start, end in self.spans]

    def touched(self, span: Span) -> range:
        """Indices of the passages that share at least one character with [start, end)."""
        start, end = span
        if start >= end:
            return range(0)
        first = bisect_right([stop for _, stop in self.spans], start)
        last = bisect_left([begin for begin, _ in self.spans], end)
        return range(first, max(first, last))


def cut(text: str, words: int) -> CutText:
    """Passages of `words` whitespace-separated words each, the last one shorter, without overlap."""
    found = [match.span() for match in _WORD.finditer(text)]
    groups = (found[start : start + words] for start in range(0, len(found), words))
    return CutText(text, tuple((group[0][0], group[-1][1]) for group in groups))


def locate(text: str, answer: str, offset: int) -> int | None:
    """Where `answer` really starts: `offset` if it stands there, else its exact occurrence nearest to it, else None.

    Of two occurrences equally near, the earlier one.
    """
    if not answer:
        return None
    if offset >= 0 and text.startswith(answer, offset):
        return offset
    return min(occurrences(text, answer), key=lambda start: (abs(start - offset), start), default=None)


def occurrences(text: str, answer: str) -> Sequence[int]:
    """Every start of `answer` in `text`, overlapping ones included."""
    starts = []
    start = text.find(answer)
    while start >= 0:
        starts.append(start)
        start = text.find(answer, start + 1)
    return starts
