"""A progress that remembers what it was told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Notes:
    """The notes in their order, and of each bar how many items went by and its total."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.labels: dict[str, int] = {}
        self.totals: dict[str, int | None] = {}

    def track(self, items: Iterable[T], *, total: int | None, label: str) -> Iterator[T]:
        self.totals[label] = total
        for item in items:
            self.labels[label] = self.labels.get(label, 0) + 1
            yield item

    def note(self, text: str) -> None:
        self.notes.append(text)
