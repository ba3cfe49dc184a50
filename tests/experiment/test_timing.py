"""Systems timed against one another: what they are handed, and what is said of their cost."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.experiment import parts
from tests.experiment.conftest import Finished
from uae_bench import pipeline
from uae_bench.errors import UsageError
from uae_bench.experiment import Experiment
from uae_bench.lm.base import Sampling
from uae_bench.lm.hf import HfModel
from uae_bench.progress import Silent
from uae_bench.result import LatencyRecord, SystemTimes
from uae_bench.timing import Indexed

T = TypeVar("T")


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A reranker of the true class with random weights."""
    from sentence_transformers import CrossEncoder

    folder = tmp_path_factory.mktemp("cross-encoder")
    CrossEncoder(str(parts.encoder()), num_labels=1, device="cpu").save_pretrained(str(folder))
    return f"bm25>cross-encoder:{folder}"


def timed(card: Path, store: Path, *systems: str, sample: int = 4, **fields: Any) -> LatencyRecord:
    asked: dict[str, Any] = {"baseline": systems[0], "measures": ("Success@1",), **fields}
    candidates, corpus = asked.pop("candidates", None), asked.pop("corpus", None)
    experiment = parts.prepare(card, store, systems, **asked)
    (record,) = experiment.time(candidates=candidates, sample=sample, corpus=corpus)
    return record


def of(record: LatencyRecord, system: str) -> SystemTimes:
    return next(one for one in record.over_candidates if one.system == system)


def test_after_a_run_nothing_is_trained_again_and_its_seconds_are_what_was_spent(
    finished: Finished, cross_encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object, **named: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(pipeline, "train", refuse)
    monkeypatch.setattr(pipeline, "label", refuse)
    record = timed(finished.card, finished.place / "store", "uae", cross_encoder, settings=parts.QUICK)
    measured = json.loads((finished.folder("uae") / "measured.json").read_text())["stages"]
    once = sum(measured[role]["seconds"] for role in ("labels for uae", "states for uae", "train uae"))
    (paid,) = record.break_even
    assert (paid.system, paid.against) == ("uae", cross_encoder)
    assert paid.once == pytest.approx(once)
    assert paid.own == of(record, "uae").stages["total"].p50
    assert paid.other == of(record, cross_encoder).stages["total"].p50


def test_a_language_model_is_asked_while_the_clock_runs_and_its_tokens_are_told(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, settings = finished.place / "store", {**parts.QUICK, "rankgpt.max_tokens": 4}
    asked: list[int] = []
    before = HfModel.generate_batch

    def counted(self: HfModel, prompts: Sequence[str], sampling: Sampling) -> Any:
        asked.append(len(prompts))
        return before(self, prompts, sampling)

    monkeypatch.setattr(HfModel, "generate_batch", counted)
    for _ in range(2):  # what was asked before is asked again
        asked.clear()
        record = timed(finished.card, store, "uae", "bm25>rankgpt", sample=3, settings=settings)
        assert asked == [1] * 4  # six passages are one window; the first query also goes by to warm up
    seconds, tokens = record.break_even
    assert (seconds.unit, tokens.unit) == ("seconds", "tokens")
    costs = finished.record("uae").costs
    once = sum(costs[role].prompt_tokens for role in ("labels for uae", "states for uae"))
    assert (tokens.once, tokens.own) == (once, 0)
    assert tokens.queries == math.ceil(once / tokens.other)


def test_seconds_that_were_spent_elsewhere_are_not_guessed(
    finished: Finished, cross_encoder: str, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    shutil.copytree(finished.place / "store", store)
    for path in (store / "measured").iterdir():  # as where artifacts were imported
        path.unlink()
    record = timed(finished.card, store, "uae", cross_encoder, settings=parts.QUICK)
    assert [(paid.once, paid.queries) for paid in record.break_even] == [(None, None)]


def test_stages_add_up_and_ratios_are_to_the_baseline(finished: Finished, cross_encoder: str) -> None:
    record = timed(finished.card, finished.place / "store", "bm25", cross_encoder)
    assert [one.system for one in record.over_candidates] == ["bm25", cross_encoder]
    for one in record.over_candidates:
        parted = ["encode", "search", *(stage for stage in one.stages if stage.startswith("rerank "))]
        means = [one.stages[stage].mean for stage in parted]
        assert one.stages["total"].mean == pytest.approx(sum(means))
        assert one.stages["encode + search"].mean == pytest.approx(sum(means[:2]))
        assert {times.n for times in one.stages.values()} == {record.queries} == {4}
        assert one.ratio == one.stages["total"].p50 / of(record, "bm25").stages["total"].p50
        assert one.ratio_p95 == one.stages["total"].p95 / of(record, "bm25").stages["total"].p95
    assert "rerank 1" in of(record, cross_encoder).stages
    assert "rerank 1" not in of(record, "bm25").stages


@pytest.fixture
def indexed(monkeypatch: pytest.MonkeyPatch) -> list[Indexed]:
    """Everything that is indexed to be timed."""
    seen: list[Indexed] = []
    before = pipeline.time_queries

    def noted(systems: list[Indexed], **given: Any) -> Any:
        seen.extend(systems)
        return before(systems, **given)

    monkeypatch.setattr(pipeline, "time_queries", noted)
    return seen


def test_all_systems_order_the_same_candidates_and_first_stages_the_whole_pool_too(
    finished: Finished, cross_encoder: str, indexed: list[Indexed]
) -> None:
    store = finished.place / "store"
    record = timed(finished.card, store, "bm25", cross_encoder, candidates=3, pool="corpus")
    *firsts, one, other = indexed
    assert [len(each.chain.rerankers) for each in (*firsts, one, other)] == [0, 0, 1]
    assert one.view.pools == other.view.pools
    assert one.view.pools is not None
    assert [len(pool) for pool in one.view.pools.values()] == [3] * 4
    assert all(each.view.pools is None for each in firsts)  # the corpus
    assert [times.system for times in record.over_pool] == ["bm25"]  # both begin with it
    assert (record.candidates, record.candidates_median, record.candidates_least) == (3, 3, 3)


def test_first_stages_are_told_apart_by_their_whole_names_and_by_seeds_that_they_read(
    finished: Finished, indexed: list[Indexed]
) -> None:
    dense = f"dense:{parts.encoder()}"
    one, other = f"rrf(bm25>{dense},random)", f"rrf(bm25>{dense},{dense})"
    systems = ("bm25>uae", f"{one}>{dense}", f"{other}>uae", f"{dense}>uae")
    record = timed(
        finished.card, finished.place / "store", *systems,
        candidates=3, pool="corpus", seeds=(0, 1), settings=parts.QUICK, corpus=50,
    )  # fmt: skip
    # only `random` reads a seed; three of the four systems, and `random`, have a row for each
    assert [(times.system, times.seed) for times in record.over_pool] == [
        ("bm25", 0), (one, 0), (one, 1), (other, 0), (dense, 0)
    ]  # fmt: skip
    assert len(indexed) == 5 + 8
    assert [(times.system, times.seed, times.index) for times in record.over_corpus] == [
        (dense, 0, "flat"), (dense, 0, "hnsw")
    ]  # fmt: skip


def test_a_pool_that_holds_no_more_than_the_candidates_is_not_timed_twice(
    finished: Finished, indexed: list[Indexed]
) -> None:
    record = timed(finished.card, finished.place / "store", "bm25")
    assert record.over_pool == ()
    assert len(indexed) == 1
    # ten are kept, and a document has six passages
    assert (record.candidates, record.candidates_median, record.candidates_least) == (10, 6, 6)


def test_dense_first_stages_search_a_made_up_corpus_of_their_width(finished: Finished) -> None:
    dense = f"dense:{parts.encoder()}"
    record = timed(finished.card, finished.place / "store", dense, "bm25", corpus=300)
    assert [(one.system, one.index, one.rows, one.dimension) for one in record.over_corpus] == [
        (dense, "flat", 300, 16),
        (dense, "hnsw", 300, 16),
    ]
    assert record.over_corpus[0].recall == 1.0
    for one in record.over_corpus:
        assert one.stages["encode"] == of(record, dense).stages["encode"]
        assert set(one.stages) == {"encode", "search", "encode + search"}


def test_a_corpus_that_nothing_would_search_is_refused_before_anything_is_timed(
    finished: Finished, indexed: list[Indexed]
) -> None:
    with pytest.raises(UsageError, match="no first stage has vectors"):
        timed(finished.card, finished.place / "store", "bm25", corpus=300)
    assert indexed == []


def test_what_reads_the_answers_is_not_timed(finished: Finished) -> None:
    with pytest.raises(UsageError, match="oracle-evidence reads answers"):
        timed(finished.card, finished.place / "store", "bm25", "oracle-evidence")


@dataclass
class Alone(Silent):
    """A terminal that can draw one bar at a time."""

    drawn: list[str] = field(default_factory=list)
    drawing: bool = False

    def track(self, items: Iterable[T], *, total: int | None, label: str) -> Iterator[T]:
        assert not self.drawing, f"{label} within {self.drawn[-1]}"
        self.drawn.append(label)
        self.drawing = True
        yield from items
        self.drawing = False


def test_nothing_is_drawn_while_a_query_is_timed(finished: Finished, cross_encoder: str) -> None:
    progress = Alone()
    experiment = Experiment.prepare(
        {"tasks": (str(finished.card),), "retrievers": ("bm25", cross_encoder), "baseline": "bm25"},
        store=finished.place / "store", device="cpu", progress=progress,
    )  # fmt: skip
    experiment.time(sample=2)
    assert progress.drawn[-1] == "time queries"
    assert f"index for {cross_encoder}" in progress.drawn


def test_times_are_never_kept(finished: Finished) -> None:
    store = finished.place / "store"
    before = sorted(path.name for path in (store / "artifacts" / "latency").iterdir())
    timed(finished.card, store, "bm25")
    assert sorted(path.name for path in (store / "artifacts" / "latency").iterdir()) == before
