"""The stages as functions: nouns in, nouns out, one by one as in a notebook."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.experiment.parts import encoder, write_task
from tests.progress import Notes
from uae_bench import pipeline
from uae_bench.encoder import BiEncoder
from uae_bench.errors import BadInput, NotPossible
from uae_bench.metrics import Judged, Measure
from uae_bench.records import Ranking, RetrievalView, Run, Value
from uae_bench.retrieval.chain import Chain, Fusion, build_chain, fusion_rule, parse_system
from uae_bench.retrieval.component import Reranked, Reranker, Resources
from uae_bench.task.task import Task


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return pipeline.read(str(write_task(tmp_path)))


def chain(text: str) -> Chain:
    return build_chain(parse_system(text), {}, Resources())


def test_the_stages_work_one_by_one(task: Task) -> None:
    pools = pipeline.pool(task, "test", "document")
    found = pipeline.retrieve(pipeline.index(chain("bm25"), task.view(task.asked("test"), pools)), depth=3)
    judged = Judged(
        queries=list(task.splits["test"].queries), run=found.run, qrels=task.qrels, annotations=task.annotations,
        passages=task.passages, pools=pools,
    )  # fmt: skip
    progress = Notes()
    values = pipeline.evaluate([Measure.parse("Success@1")], judged, progress)
    assert progress.labels == {"measures by family": 1}
    # each question holds a word that only its evidence has within the document
    assert [value.value for value in values] == [1.0] * 10


def test_a_document_pool_is_the_querys_own_document_and_a_corpus_pool_is_none(task: Task) -> None:
    pools = pipeline.pool(task, "dev", "document")
    assert pools is not None
    assert set(pools) == set(task.splits["dev"].queries)
    assert pools["q-Lund-5"] == tuple(passage for passage in task.passages if passage.startswith("Lund-"))
    assert pipeline.pool(task, "dev", "corpus") is None


def test_time_is_split_by_stage_one_entry_per_query(task: Task) -> None:
    view = task.view(task.asked("test"), pipeline.pool(task, "test", "document"))
    (timed,) = pipeline.time_queries([pipeline.index(chain("bm25"), view)], depth=3, sample=4)
    seconds = timed.seconds
    assert set(seconds) == {"encode", "search"}
    assert [len(times) for times in seconds.values()] == [4, 4]
    assert all(took >= 0 for times in seconds.values() for took in times)


@dataclass
class Lazy(Reranker):
    """A reranker that remembers whether it was handed what it had not read before, as one that encodes would feel."""

    name: str = "lazy"
    read: set[str] = field(default_factory=set)
    unread: list[bool] = field(default_factory=list)
    views: list[RetrievalView] = field(default_factory=list)

    def rerank(self, view: RetrievalView, run: Run, *, depth: int) -> Reranked:
        shown = {passage.id for passage in view.passages}
        self.unread.append(not shown <= self.read)
        self.read |= shown
        self.views.append(view)
        return Reranked(Run(self.name, depth, {query.id: run.rankings[query.id] for query in view.queries}))


def test_a_reranker_is_timed_on_its_own_querys_passages_which_it_has_read_before(task: Task) -> None:
    view = task.view(task.asked("test"), pipeline.pool(task, "test", "corpus"))
    lazy = [Lazy(), Lazy()]
    indexed = pipeline.index(Chain("bm25>lazy>lazy", chain("bm25").first, tuple(lazy)), view)
    (timed,) = pipeline.time_queries([indexed], depth=3, sample=4)
    assert set(timed.seconds) == {"encode", "search", "rerank 1", "rerank 2"}
    for place, reranker in enumerate(lazy, start=1):
        assert reranker.unread == [True] + [False] * (len(reranker.unread) - 1)
        assert len(timed.seconds[f"rerank {place}"]) == 4
        for alone in reranker.views[-4:]:
            (query,) = alone.queries
            assert alone.pools == {query.id: tuple(passage.id for passage in alone.passages)}
            assert len(alone.passages) == 3


@dataclass
class Clocked(Reranker):
    """A reranker that writes down whom it was asked for."""

    name: str
    log: list[tuple[str, ...]]

    def rerank(self, view: RetrievalView, run: Run, *, depth: int) -> Reranked:
        self.log.append((self.name, *(query.id for query in view.queries)))
        return Reranked(run)


def test_systems_take_turns_query_by_query_there_and_back(task: Task) -> None:
    log: list[tuple[str, ...]] = []
    view = task.view(task.asked("test")[:3], pipeline.pool(task, "test", "document"))
    systems = [
        pipeline.index(Chain(f"bm25>{name}", chain("bm25").first, (Clocked(name, log),)), view) for name in "abc"
    ]
    timed = pipeline.time_queries(systems, depth=3)
    assert [set(one.seconds) for one in timed] == [{"encode", "search", "rerank 1"}] * 3
    one, two, three = (query.id for query in view.queries)
    # each is warmed alone; then a b c, c b a, a b c
    assert log[-9:] == [
        ("a", one), ("b", one), ("c", one), ("c", two), ("b", two), ("a", two), ("a", three), ("b", three), ("c", three)
    ]  # fmt: skip
    assert {name for name, *_ in log[:-9]} == {"a", "b", "c"}


def test_systems_that_answer_other_queries_are_not_timed_against_one_another(task: Task) -> None:
    pools = pipeline.pool(task, "test", "document")
    views = [task.view(task.asked("test")[:count], pools) for count in (3, 4)]
    with pytest.raises(BadInput, match="different queries"):
        pipeline.time_queries([pipeline.index(chain("bm25"), view) for view in views], depth=3)


def test_passages_of_a_bi_encoder_that_reranks_are_encoded_before_the_clock_starts(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    before = BiEncoder.encode_passages

    def counted(self: BiEncoder, texts: Sequence[str], *others: Any) -> Any:
        encoded.append(len(texts))
        return before(self, texts, *others)

    monkeypatch.setattr(BiEncoder, "encode_passages", counted)
    view = task.view(task.asked("test"), pipeline.pool(task, "test", "document"))
    (timed,) = pipeline.time_queries([pipeline.index(chain(f"bm25>dense:{encoder()}"), view)], depth=3)
    assert len(timed.seconds["rerank 1"]) == 10
    assert len(encoded) == 1  # never retrieved with before


@dataclass
class Asking(Reranker):
    """A reranker that turns the order round, as one that asks a model may: warm-ups leave it out."""

    name: str = "asking"

    def forgetful(self) -> Asking:
        return Asking()

    def rerank(self, view: RetrievalView, run: Run, *, depth: int) -> Reranked:
        turned = {
            query.id: Ranking(run.rankings[query.id].passages[::-1], run.rankings[query.id].scores)
            for query in view.queries
        }
        return Reranked(Run(self.name, depth, turned))


def test_what_a_fusion_may_keep_once_its_members_have_asked_is_read_before_the_clock_starts(task: Task) -> None:
    view = task.view(task.asked("test"), pipeline.pool(task, "test", "corpus"))
    lazy = Lazy()
    asking = Chain("bm25>asking", chain("bm25").first, (Asking(),))
    parsed = parse_system("rrf(bm25,random)")
    fusion = Fusion((asking, chain("random")), fusion_rule(parsed.steps[0], {}))
    fused = Chain("rrf(bm25>asking,random)>lazy", fusion, (lazy,))
    pipeline.time_queries([pipeline.index(fused, view)], depth=3)
    # of 3 that bm25 finds, the fusion keeps the first before the order is turned round, the last afterwards
    assert lazy.unread == [True] + [False] * (len(view.queries) + 1)  # all at once, the first again, each alone
    assert {len(alone.passages) for alone in lazy.views[1:]} == {3}


EMPTY = Run("bm25", 1, {})


def test_only_queries_of_a_training_split_are_trained_on(task: Task) -> None:
    train, dev, test = (list(task.splits[split].queries) for split in ("train", "dev", "test"))
    data = pipeline.training_set(task, train, dev, EMPTY, {})
    assert [query.id for query in data.train] == train
    assert data.evidence[train[0]] == task.evidence(train[0])
    for wrong in (dev, test):
        with pytest.raises(NotPossible, match="not for training"):
            pipeline.training_set(task, wrong, dev, EMPTY, {})
    with pytest.raises(NotPossible, match="not for training"):
        pipeline.training_set(task, train, test, EMPTY, {})


def test_permuted_utilities_are_the_same_ones_dealt_anew() -> None:
    utilities = {query: {f"p{number}": float(number) for number in range(8)} for query in ("a", "b")}
    dealt = pipeline.permuted(utilities, 3)
    assert dealt != utilities
    assert {query: sorted(row.values()) for query, row in dealt.items()} == {
        query: sorted(row.values()) for query, row in utilities.items()
    }
    assert pipeline.permuted(utilities, 3) == dealt
    assert pipeline.permuted(utilities, 4) != dealt


def test_a_querys_value_is_its_mean_over_seeds() -> None:
    seeds = [[Value("q", "AP", 0.25), Value("r", "AP", 1.0)], [Value("q", "AP", 0.75), Value("r", "AP", 1.0)]]
    assert pipeline.mean_over_seeds(seeds) == [Value("q", "AP", 0.5), Value("r", "AP", 1.0)]


def test_undefined_in_one_seed_is_undefined_with_its_reason() -> None:
    seeds = [[Value("q", "AP", math.nan, "no evidence")], [Value("q", "AP", 0.75)]]
    (mean,) = pipeline.mean_over_seeds(seeds)
    assert math.isnan(mean.value)
    assert mean.why == "no evidence"


def test_a_mean_over_seeds_is_over_all_of_them() -> None:
    seeds = [[Value("q", "AP", 0.25), Value("q", "RR", 1.0)], [Value("q", "AP", 0.75)]]
    with pytest.raises(BadInput, match="RR of the query 'q' has values of 1 seeds, and there are 2"):
        pipeline.mean_over_seeds(seeds)


def test_comparisons_are_with_the_baseline_or_between_all_pairs() -> None:
    documents = {f"q{number}": f"d{number}" for number in range(30)}
    values = {
        system: [[Value(query, "AP", base + 0.01 * place) for place, query in enumerate(documents)]]
        for system, base in (("a", 0.1), ("b", 0.2), ("c", 0.5))
    }
    against = pipeline.compare(values, documents, baseline="a")
    assert [(one.system, one.baseline) for one in against] == [("b", "a"), ("c", "a")]
    # every query of b is 0.1 above a's: no sign flip does as well but by the same signs
    assert against[0].difference == pytest.approx(0.1)
    assert against[0].p_adjusted < 0.01
    progress = Notes()
    assert len(pipeline.compare(values, documents, baseline=None, progress=progress)) == 3
    assert progress.labels == {"tests by measure": 1}
    assert pipeline.compare(values, documents, baseline="a") == against


def test_a_chain_keeps_its_name_and_depth(task: Task) -> None:
    view = task.view(task.asked("test"), pipeline.pool(task, "test", "document"))
    run = pipeline.retrieve(pipeline.index(chain("random"), view), depth=2).run
    assert (run.system, run.depth, len(run)) == ("random", 2, 10)
    assert all(isinstance(ranking, Ranking) and len(ranking.passages) == 2 for ranking in run.rankings.values())
