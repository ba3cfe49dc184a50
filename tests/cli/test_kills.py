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
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import pytest

from tests.cli.warm import LEDGER
from tests.experiment import parts
from uae_bench.errors import EXIT_INTERRUPTED, StoreError
from uae_bench.store import CallCache

KILLS = int(os.environ.get("UAE_BENCH_KILLS", "2"))
"""How often each place is struck: twice in everybody's tests, 20 times where CI has the time."""
SAME = ("record.json", "run.trec", "run.parquet", "values.parquet", "manifest.json")
PLACES = ("pool", "utility", "retrieve", "latency", "generate", "evaluate", "rows", "states", "train", "compare")
"""Where a kill strikes, in the order in which a run comes by; `rows` is the writing of run folders."""
ROWS_SECONDS = 0.05
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

    def start(self, arguments: list[str], log: Path, *, limit: int = 0) -> int:
        """The process id of the command, now running; `limit` is the most bytes that a file of its may get."""
        return self._ask([arguments, str(log), limit])

    def wait(self, child: int) -> int:
        """Its exit code, negative where a signal ended it."""
        return self._ask(child)

    def close(self) -> None:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(timeout=60)
        self._server.stdout.close()

    def _ask(self, request: object) -> int:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return int(self._read())

    def _read(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline().strip()


@dataclass(frozen=True)
class Bed:
    """A launcher, a card, and the place where an undisturbed run of it left its store and rows."""

    launcher: Launcher
    card: Path
    place: Path

    def command(self, place: Path) -> list[str]:
        """The experiment with its store and output below `place`."""
        rows = [part for name in ("uae", "oracle-utility") for part in ("--retriever", name)]
        where = ["--store", str(place / "store"), "--out", str(place / "runs")]
        return ["run", "--task", str(self.card), *rows, *where, *parts.options(parts.QUICK)]

    def run(self, place: Path) -> None:
        """Runs the experiment to its end."""
        child = self.launcher.start(self.command(place), place / "log")
        assert self.launcher.wait(child) == 0, (place / "log").read_text()

    def struck(self, place: Path, target: str, delay: float, blow: signal.Signals = signal.SIGKILL) -> int:
        """How the experiment ended that got a signal `delay` seconds after it came to `target`: 0 if it was quicker."""
        ended = threading.Event()
        started = time.time_ns()
        child = self.launcher.start(self.command(place), place / "log")

        def strike() -> None:
            while not ended.is_set():
                if reached(place, target, started):
                    time.sleep(delay)
                    if not ended.is_set():
                        os.kill(child, blow)
                    return
                time.sleep(0.001)

        killer = threading.Thread(target=strike)
        killer.start()
        code = self.launcher.wait(child)
        ended.set()
        killer.join()
        return code

    def require_same(self, place: Path) -> None:
        """Checks that `place` holds the same rows, artifacts and model calls as the undisturbed run."""
        ours, theirs = (parts.contents(one / "runs", *SAME) for one in (place, self.place))
        assert len(theirs) == 3 * len(SAME)
        assert ours == theirs
        assert calls(place) == calls(self.place)
        assert [digest for digest, times in computed(place).items() if times > 1] == []  # no finished call again
        assert kept(place) == kept(self.place)

    def seconds(self, target: str) -> float:
        """How long the longest step of a stage took undisturbed."""
        root = self.place / "store"
        digests = [path.name for path in (root / "artifacts" / target).glob("*")]
        measured = [json.loads((root / "measured" / f"{digest}.json").read_text()) for digest in digests]
        return max((float(one["seconds"]) for one in measured), default=ROWS_SECONDS)


def reached(place: Path, target: str, since: int) -> bool:
    """Whether a step of the stage was begun, or a row's folder, since a time in nanoseconds."""
    found = (place / "runs").glob("*/*/*") if target == "rows" else (place / "store" / "artifacts" / target).glob("*")
    try:
        return any(path.stat().st_ctime_ns > since for path in found)
    except FileNotFoundError:  # it was renamed meanwhile: so it was begun
        return True


def calls(place: Path) -> int:
    """How many batches of model calls are finished."""
    cache = CallCache(place / "store" / "calls.sqlite")
    try:
        return cache.count()
    finally:
        cache.close()


def computed(place: Path) -> Counter[str]:
    """How often each batch of model calls was computed to its end."""
    ledger = place / "store" / LEDGER
    return Counter(ledger.read_text().split() if ledger.exists() else ())


def kept(place: Path) -> set[str]:
    """The keys of every artifact, finished or not."""
    root = place / "store" / "artifacts"
    return {str(path.relative_to(root)) for path in root.glob("*/*")}


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    place = tmp_path_factory.mktemp("undisturbed")
    made = Bed(Launcher(), parts.write_task(place, models=True), place)
    made.run(place)
    yield made
    made.launcher.close()


def test_killed_anywhere_it_goes_on_and_ends_with_the_same_bytes(bed: Bed, tmp_path: Path) -> None:
    rng = random.Random(0)
    struck: Counter[str] = Counter()
    finished = 0
    targets = cycle(PLACES)
    while min(struck[place] for place in PLACES) < KILLS:
        place = tmp_path / str(finished)
        place.mkdir(exist_ok=True)
        target, before = next(target for target in targets if struck[target] < KILLS), calls(place)
        code = bed.struck(place, target, rng.uniform(0, bed.seconds(target)))
        assert code in (0, -signal.SIGKILL), (place / "log").read_text()
        if code:
            struck[target] += 1
        else:
            bed.require_same(place)
            finished += 1
        assert calls(place) >= before  # what was answered is kept
    bed.run(place)
    bed.require_same(place)
    assert sum(computed(bed.place).values()) == calls(bed.place) > 0


@pytest.mark.parametrize("target", ["utility", "train"])
def test_interrupted_it_says_how_to_go_on_and_goes_on(bed: Bed, tmp_path: Path, target: str) -> None:
    code = bed.struck(tmp_path, target, 0.0, signal.SIGINT)
    log = (tmp_path / "log").read_text()
    assert code == EXIT_INTERRUPTED, log
    assert "the same command goes on from there" in log and "Traceback" not in log
    bed.run(tmp_path)
    bed.require_same(tmp_path)


@pytest.mark.parametrize("limit", [3_000, 20_000, 60_000])
def test_a_full_disk_is_said_and_nothing_is_lost(bed: Bed, tmp_path: Path, limit: int) -> None:
    child = bed.launcher.start(bed.command(tmp_path), tmp_path / "log", limit=limit)
    code, log = bed.launcher.wait(child), (tmp_path / "log").read_text()
    assert code == StoreError.exit_code, log
    assert "error cannot " in log and "\n  fix " in log and "Traceback" not in log
    bed.run(tmp_path)
    bed.require_same(tmp_path)


def test_two_processes_on_one_store_share_the_work(bed: Bed, tmp_path: Path) -> None:
    both = [bed.launcher.start(bed.command(tmp_path), tmp_path / f"log {number}") for number in range(2)]
    for number, child in enumerate(both):
        assert bed.launcher.wait(child) == 0, (tmp_path / f"log {number}").read_text()
    bed.require_same(tmp_path)
    said = "".join((tmp_path / f"log {number}").read_text() for number in range(2)).splitlines()
    made = [line for line in said if line.startswith("made ")]
    assert len(made) == len(set(made)) == len(kept(tmp_path))
