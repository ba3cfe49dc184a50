"""The command line as a user calls it, in a process of its own."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.experiment.parts import contents
from tests.vllm.served import Served

SECONDS = 600


def started(*arguments: str) -> subprocess.Popen[str]:
    """`uae-bench ARGUMENTS`, running."""
    command = [sys.executable, "-m", "uae_bench", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(*arguments: str) -> tuple[int, str, str]:
    """Its exit code, and what it printed to both streams."""
    running = started(*arguments)
    printed, said = running.communicate(timeout=SECONDS)
    return running.returncode, printed, said


class Desk:
    """A folder that `uae-bench run` is called in."""

    def __init__(self, folder: Path, server: Served) -> None:
        self.folder = folder
        self.server = server
        folder.mkdir()

    def start(self, *options: str) -> subprocess.Popen[str]:
        """BM25 on the lab, scored and answered by the server."""
        return started(*self._run(*options))

    def run(self, *options: str) -> tuple[int, str, str]:
        """Exit code, and what it printed to both streams."""
        return ended(*self._run(*options))

    def _run(self, *options: str) -> list[str]:
        return [
            "run", "--retriever", "bm25", "--baseline", "bm25", "--task", "lab",
            "--scorer", self.server.spec, "--generator", self.server.spec, "--held-out", "none",
            "--measure", "Success@1", "--measure", "ExpUtil@1", "--measure", "TokenF1",
            "--store", str(self.folder / "store"), "--out", str(self.folder / "runs"), "--quiet", *options,
        ]  # fmt: skip

    def finished(self) -> int:
        """Calls whose results are kept."""
        path = self.folder / "store" / "calls.sqlite"
        if not path.exists():
            return 0
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("SELECT results FROM calls").fetchall()
        return sum(len(json.loads(results)) for (results,) in rows)

    def records(self) -> dict[str, bytes]:
        return contents(self.folder / "runs", "record.json")
