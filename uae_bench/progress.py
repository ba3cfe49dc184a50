"""How long work tells that it goes on: an argument, so that only the command line ever prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Where work reports to."""

    def track(self, items: Iterable[T], *, total: int | None, label: str) -> Iterator[T]:
        """The same items in the same order; each one asked for counts as the one before it finished.

        `total` is None where the number of items is not known beforehand.
        """
        ...

    def note(self, text: str) -> None:
        """One line for the user."""
        ...


class Silent:
    """The default: reports to nobody."""

    def track(self, items: Iterable[T], *, total: int | None, label: str) -> Iterator[T]:
        return iter(items)

    def note(self, text: str) -> None:
        return None


SILENT: Progress = Silent()


@contextmanager
def working(progress: Progress, label: str) -> Iterator[None]:
    """One piece of work, whose length is known when it is done."""
    for _ in progress.track((None,), total=1, label=label):
        yield
