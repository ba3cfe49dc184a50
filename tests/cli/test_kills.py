"""`kill -9` anywhere, run again: it goes on, repeats no finished call, and ends with the same bytes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.experiment import parts
from uae_bench.store import CallCache

KILLS = 20
SAME = ("record.json", "run.trec", "run.parquet", "values.parquet", "manifest.json")
ROOT = Path(__file__).parents[2]


class Launcher:
    """Starts `uae-bench` in processes forked from one that is warm: imports are not what is to be killed."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.warm"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert self._read() == "ready"

    def run(self, arguments: list[str], log: Path, *, end: int = 0, after: float = 0.0) -> int:
        """The exit code of the command; `end` is the signal that it gets `after` so many seconds."""
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps([arguments, str(log)]) + "\n")
        self._server.stdin.flush()
        child = int(self._read())
        timer = threading.Timer(after, lambda: _signal(child, end))
        if end:
            timer.start()
        code = int(self._read())
        timer.cancel()
        return code

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(timeout=60)
        assert self._server.stdout is not None
        self._server.stdout.close()

    def _read(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline().strip()


def _signal(child: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(child, number)


@dataclass(frozen=True)
class Bed:
    """A launcher, a card, and what an undisturbed run of it left and took."""

    launcher: Launcher
    card: Path
    place: Path
    seconds: float

    def command(self, place: Path) -> list[str]:
        """The experiment with its store and output below `place`."""
        rows = [part for name in ("uae", "oracle-utility") for part in ("--retriever", name)]
        where = ["--store", str(place / "store"), "--out", str(place / "runs")]
        return ["run", "--task", str(self.card), *rows, *where, *parts.options(parts.QUICK)]

    def require_same(self, place: Path) -> None:
        """Checks that `place` holds the same rows, artifacts and model calls as the undisturbed run."""
        ours, theirs = (parts.contents(one / "runs", *SAME) for one in (place, self.place))
        assert len(theirs) == 3 * len(SAME)
        assert ours == theirs
        assert calls(place) == calls(self.place)
        assert kept(place) == kept(self.place)


def calls(place: Path) -> int:
    cache = CallCache(place / "store" / "calls.sqlite")
    try:
        return cache.count()
    finally:
        cache.close()


def kept(place: Path) -> set[str]:
    """The keys of every artifact, finished or not."""
    root = place / "store" / "artifacts"
    return {str(path.relative_to(root)) for path in root.glob("*/*")}


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    place = tmp_path_factory.mktemp("undisturbed")
    card = parts.write_task(place, models=True)
    launcher = Launcher()
    trial = Bed(launcher, card, place, 0.0)
    started = time.monotonic()
    assert launcher.run(trial.command(place), place / "log") == 0, (place / "log").read_text()
    yield Bed(launcher, card, place, time.monotonic() - started)
    launcher.close()


def test_killed_at_any_time_it_goes_on_and_ends_with_the_same_bytes(bed: Bed, tmp_path: Path) -> None:
    rng = random.Random(0)
    killed, finished, stages = 0, 0, set[str]()
    while killed < KILLS:
        place = tmp_path / str(finished)
        place.mkdir(exist_ok=True)
        before = calls(place)
        after = rng.uniform(0.02, 1.0) * bed.seconds / 2
        code = bed.launcher.run(bed.command(place), place / "log", end=signal.SIGKILL, after=after)
        assert code in (0, -signal.SIGKILL), (place / "log").read_text()
        assert calls(place) >= before
        if code:
            killed += 1
            stages.add(next_stage(place))
        else:
            bed.require_same(place)
            finished += 1
    place = tmp_path / str(finished)
    place.mkdir(exist_ok=True)
    assert bed.launcher.run(bed.command(place), place / "log") == 0, (place / "log").read_text()
    bed.require_same(place)
    assert len(stages) >= 3, stages


def next_stage(place: Path) -> str:
    """Where a kill struck, as far as the folders tell: the stage that was being made, or the one that came last."""
    artifacts = list((place / "store" / "artifacts").glob("*/*"))
    working = [path.parent.name for path in artifacts if path.suffix == ".work"]
    if working:
        return f"while {working[0]}"
    last = max(artifacts, key=lambda path: path.stat().st_ctime, default=None)
    rows = len(list((place / "runs").rglob("manifest.json")))
    return f"after {last.parent.name if last else 'nothing'}, {rows} rows written"
