"""Progress on a terminal: one bar per stage with its rate and the time left; plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")

# Without a terminal a line this often says that the work goes on.
PLAIN_INTERVAL_SECONDS = 15.0


class TerminalProgress:
    """A `uae_bench.progress.Progress` that draws on `console`; `verbose` also shows the stages that were kept."""

    def __init__(self, console: Console, *, verbose: bool) -> None:
        self._console = console
        self._verbose = verbose

    def track(self, items: Iterable[T], *, total: int | None, label: str) -> Iterator[T]:
        """The items, drawn as they go by."""
        return self._bar(items, total, label) if self._console.is_terminal else self._lines(items, total, label)

    def note(self, text: str) -> None:
        """One line; a stage that was found in the store is told only when verbose."""
        if self._verbose or not text.startswith("kept"):
            self._console.print(text, style="dim" if text.startswith("kept") else None, highlight=False, markup=False)

    def _bar(self, items: Iterable[T], total: int | None, label: str) -> Iterator[T]:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as bars:
            task = bars.add_task(label, total=total)
            for item in items:
                yield item
                bars.advance(task)

    def _lines(self, items: Iterable[T], total: int | None, label: str) -> Iterator[T]:
        started = said = time.monotonic()
        for done, item in enumerate(items):
            now = time.monotonic()
            if now - said >= PLAIN_INTERVAL_SECONDS:
                said = now
                left = f", about {(now - started) / done * (total - done):.0f} s left" if total and done else ""
                self._console.print(f"{label}: {done}/{total or '?'}{left}", highlight=False, markup=False)
            yield item
