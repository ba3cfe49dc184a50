"""The command line called in this process, its streams and exit code caught."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO

from uae_bench.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    def refused(self, code: int, *said: str) -> None:
        """Checks that the command ended with the code and one error, said with its fix, and no traceback."""
        assert self.code == code, self.err
        assert self.out == ""
        assert self.err.startswith("error ")
        assert "Traceback" not in self.err
        assert "\n  fix " in self.err
        for part in said:
            assert part in self.err, self.err


def call(*arguments: object) -> Outcome:
    """What `uae-bench ARGUMENTS` does, without a terminal."""
    with _streams([str(argument) for argument in arguments]) as (out, err):
        try:
            main()
            code: object = 0
        except SystemExit as ended:
            code = ended.code
    return Outcome(int(str(code or 0)), out.getvalue(), err.getvalue())


@contextmanager
def _streams(arguments: Sequence[str]) -> Iterator[tuple[StringIO, StringIO]]:
    kept = sys.argv, sys.stdout, sys.stderr
    out, err = StringIO(), StringIO()
    sys.argv, sys.stdout, sys.stderr = ["uae-bench", *arguments], out, err
    try:
        yield out, err
    finally:
        sys.argv, sys.stdout, sys.stderr = kept
