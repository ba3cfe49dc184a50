"""What is seen of long work: a bar with the time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from rich.console import Console

from uae_bench.cli.progress import TerminalProgress


def test_a_terminal_shows_label_count_and_time_left_and_is_clean_afterwards() -> None:
    screen = StringIO()
    told = TerminalProgress(Console(file=screen, force_terminal=True, width=100), verbose=False)
    assert list(told.track(["a", "b", "c"], total=3, label="utility [x]")) == ["a", "b", "c"]
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    assert "utility [x]" in shown and "3/3" in shown and "eta" in shown
    assert screen.getvalue().rstrip().endswith("\x1b[2K")  # the bar is wiped away


def test_elsewhere_a_line_says_how_far_it_is_and_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("uae_bench.cli.progress.time.monotonic", lambda: float(next(clock)))
    screen = StringIO()
    told = TerminalProgress(Console(file=screen, width=100), verbose=False)
    assert list(told.track(range(4), total=4, label="utility")) == [0, 1, 2, 3]
    # a look at the clock before each item, ten seconds apart; a line at least fifteen seconds after the last one
    assert screen.getvalue().splitlines() == ["utility: 1/4, about 60 s left", "utility: 3/4, about 13 s left"]


def test_nothing_is_said_of_what_is_quick() -> None:
    screen = StringIO()
    assert list(TerminalProgress(Console(file=screen), verbose=False).track(range(9), total=9, label="x"))
    assert screen.getvalue() == ""


@pytest.mark.parametrize(("verbose", "said"), [(False, ["made  b"]), (True, ["kept  a", "made  b"])])
def test_what_was_found_in_the_store_is_told_on_request(verbose: bool, said: list[str]) -> None:
    screen = StringIO()
    told = TerminalProgress(Console(file=screen), verbose=verbose)
    told.note("kept  a")
    told.note("made  b")
    assert screen.getvalue().splitlines() == said
