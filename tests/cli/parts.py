"""The command line called in this process, its streams and exit code caught."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO

from uae_bench.cli import main

HEAVY = ("torch", "transformers", "sentence_transformers", "pandas", "scipy", "faiss", "datasets", "matplotlib")
"""Libraries that are slow to import: only work on a miss may need them."""


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


def fresh(*arguments: object, watch: tuple[str, ...] = HEAVY) -> tuple[Outcome, list[str]]:
    """What a process of its own prints, and which of the watched libraries it had imported at its end."""
    program = (
        "import atexit, sys\n"
        f"atexit.register(lambda: sys.stderr.write('imported ' + ' '.join(m for m in {watch!r} if m in sys.modules)))\n"
        "from uae_bench.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, *(str(argument) for argument in arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    said, _, imported = ended.stderr.rpartition("imported ")
    return Outcome(ended.returncode, ended.stdout, said), imported.split()


@contextmanager
def _streams(arguments: Sequence[str]) -> Iterator[tuple[StringIO, StringIO]]:
    kept = sys.argv, sys.stdout, sys.stderr
    out, err = StringIO(), StringIO()
    sys.argv, sys.stdout, sys.stderr = ["uae-bench", *arguments], out, err
    try:
        yield out, err
    finally:
        sys.argv, sys.stdout, sys.stderr = kept
