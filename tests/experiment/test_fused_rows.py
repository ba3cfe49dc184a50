"""Rows that fuse others: what they share with them, what they say of them, and how they are kept."""

from __future__ import annotations

import json
from math import fsum
from pathlib import Path

import pytest

from tests.experiment import parts
from tests.experiment.conftest import Finished
from uae_bench import runs
from uae_bench.errors import UsageError
from uae_bench.experiment.bench import RUN
from uae_bench.experiment.results import Results
from uae_bench.leaderboard import add_results, render_boards
from uae_bench.records import Ranking
from uae_bench.result import ResultRecord

FUSED = "rrf(bm25,uae)"


def fused_by_hand(one: Ranking, other: Ranking, depth: int) -> Ranking:
    scores: dict[str, float] = {}
    for ranking in (one, other):
        for passage, score in zip(ranking.passages, ranking.scores, strict=True):
            ranks = [rank for rank, each in enumerate(ranking.scores, start=1) if each == score]
            scores[passage] = scores.get(passage, 0.0) + fsum(1 / (60 + rank) for rank in ranks) / len(ranks)
    return Ranking.from_scores(scores, depth)


@pytest.fixture(scope="module")
def fused(finished: Finished) -> Results:
    """`rrf(bm25,uae)`, its members, and a chain that begins with a fusion, in the store of the finished experiment."""
    return finished.again(retrievers=("uae", FUSED, f"rrf(random,bm25>{dense()})>uae"))


def dense() -> str:
    return f"dense:{parts.encoder()}"


def record(results: Results, system: str, seed: int = 0) -> ResultRecord:
    return next(one for one in results.records if (one.system, one.seed) == (system, seed))


def test_a_row_per_seed_where_a_member_reads_one_fuses_the_rows_of_its_members(fused: Results) -> None:
    folders = {(one.system, one.seed): place for one, place in zip(fused.records, fused.folders, strict=True)}
    for seed in (0, 1):
        found, bm25, uae = (runs.read_run(folders[key] / RUN) for key in ((FUSED, seed), ("bm25", 0), ("uae", seed)))
        for query, ranking in found.rankings.items():
            assert ranking == fused_by_hand(bm25.rankings[query], uae.rankings[query], found.depth)


def test_members_are_found_and_trained_once(fused: Results, finished: Finished) -> None:
    row, alone = record(fused, FUSED), record(fused, "uae")
    assert row.artifacts["train uae"] == alone.artifacts["train uae"]
    preview = parts.prepare(finished.card, finished.place / "store", **{**finished.fields, "retrievers": (FUSED,)})
    labels = [step.label for step in preview.preview() if step.stage == "retrieve"]
    assert sorted({label.partition(" on ")[0] for label in labels if label.startswith("retrieve")}) == [
        "retrieve bm25", f"retrieve {dense()}", f"retrieve {FUSED}", "retrieve uae",
    ]  # fmt: skip
    assert all(step.status == "hit" for step in preview.preview() if step.stage != "compare")


def test_a_record_tells_of_members_by_name(fused: Results, finished: Finished) -> None:
    row = record(fused, FUSED)
    assert set(row.settings) >= {"bm25", "uae", "rrf"} and row.settings["rrf"] == {"depth": None, "k": 60}
    assert "bm25: queries without terms: 0" in row.notes
    assert any(note.startswith("uae: passages: ") for note in row.notes)
    assert "encoder" in row.models and "bm25" in row.models and FUSED not in row.models
    chained = record(fused, f"rrf(random,bm25>{dense()})>uae", 1)
    assert dense() in chained.models and chained.settings["random"] == {}
    folder = fused.folders[fused.records.index(chained)]
    latency = json.loads((folder / "measured.json").read_text())["latency"]
    assert list(latency) and set(latency) == {"encode", "search", f"bm25>{dense()}: rerank 1", "rerank 1", "total"}


def test_members_that_are_to_keep_fewer_passages_are_refused_while_planning(tmp_path: Path) -> None:
    systems = (f"rrf(bm25,{dense()})",)
    with pytest.raises(UsageError, match=r"rrf.depth = 5 is less than the 10 passages"):
        parts.prepare(parts.write_task(tmp_path), tmp_path / "store", retrievers=systems, settings={"rrf.depth": 5})


def test_fused_rows_stand_on_a_board(fused: Results, tmp_path: Path) -> None:
    place = fused.folders[0].parents[1]
    add_results([place], tmp_path)
    render_boards(tmp_path)
    page = (tmp_path / "tiny.md").read_text()
    assert "rrf(bm25,uae)" in page and "rrf(random,bm25" in page


def test_weights_that_do_not_fit_are_refused_while_planning(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    with pytest.raises(UsageError, match="does not weigh 2 systems"):
        parts.prepare(card, tmp_path / "store", ("combsum(bm25,random)",), settings={"combsum.weights": "1,2,3"})


def test_weights_and_depth_are_settings_of_the_row(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    asked = {"settings": {"combsum.weights": "0,1", "combsum.depth": 20}}
    results = parts.run(card, tmp_path, (f"combsum(bm25,{dense()})", dense()), **asked)
    row = record(results, f"combsum(bm25,{dense()})")
    assert row.settings["combsum"] == {"depth": 20, "normalisation": "min-max", "weights": [0.0, 1.0]}
    alone = record(results, dense())
    assert [one.mean for one in row.measures] == [one.mean for one in alone.measures]  # the other weighs nothing
