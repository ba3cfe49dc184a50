"""One whole experiment with tiny models, run once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.experiment import parts
from uae_bench.experiment.results import Results
from uae_bench.result import ResultRecord

SYSTEMS = ("uae", "random", "oracle-utility", "oracle-evidence")


@dataclass(frozen=True)
class Finished:
    """A card, the folder with its store and runs, what was asked, and the results."""

    card: Path
    place: Path
    fields: dict[str, Any]
    results: Results

    def again(self, place: Path | None = None, **changes: Any) -> Results:
        """The same experiment with some fields changed, in its own place or another."""
        return parts.run(self.card, place or self.place, **{**self.fields, **changes})

    def record(self, system: str, seed: int = 0) -> ResultRecord:
        """The record of a row."""
        return next(one for one in self.results.records if (one.system, one.seed) == (system, seed))

    def folder(self, system: str, seed: int = 0) -> Path:
        """The folder of a row."""
        return self.results.folders[self.results.records.index(self.record(system, seed))]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """`uae`, two seeds of it and of `random`, both references, BM25 as baseline; another family held out."""
    place = tmp_path_factory.mktemp("finished")
    card = parts.write_task(place, models=True)
    fields: dict[str, Any] = {
        "retrievers": SYSTEMS,
        "seeds": (0, 1),
        "settings": parts.QUICK,
        "held_out": (f"hf:{parts.language_model('gpt_neox')}",),
    }
    return Finished(card, place, fields, parts.run(card, place, **fields))
