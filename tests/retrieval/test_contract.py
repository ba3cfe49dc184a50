"""What every registered retriever must do, whatever it is."""

from __future__ import annotations

import random
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

import pytest

from tests.retrieval.parts import QUESTIONS, TEXTS, build, tiny_model, view
from uae_bench.errors import BadInput, UsageError
from uae_bench.records import Passage, RetrievalView, Run
from uae_bench.retrieval import RETRIEVERS
from uae_bench.retrieval.component import Component

FIRST_STAGES = [name for name in RETRIEVERS if "Q->R" in RETRIEVERS[name].shapes]
OFFLINE = [name for name in FIRST_STAGES if not RETRIEVERS[name].means or name == "minilm"]  # presets: test_presets.py


def built(name: str) -> Any:
    return build(name, tiny_model(name) if RETRIEVERS[name].argument else "")


@pytest.fixture(params=OFFLINE, scope="module")
def retriever(request: pytest.FixtureRequest) -> Any:
    return built(request.param)


def best_first(run: Run) -> bool:
    rankings = run.rankings.values()
    return all(
        [*zip(r.passages, r.scores, strict=True)]
        == sorted(zip(r.passages, r.scores, strict=True), key=lambda pair: (-pair[1], pair[0]))
        for r in rankings
    )


def test_every_query_is_answered_up_to_the_depth_best_first(retriever: Any) -> None:
    for depth in (1, 3, 5, 50):
        run = retriever.retrieve(view(), depth=depth)
        assert run.depth == depth and set(run.rankings) == set(QUESTIONS)
        assert {len(ranking.passages) for ranking in run.rankings.values()} == {min(depth, len(TEXTS))}
        assert best_first(run)


def test_a_smaller_depth_is_a_prefix(retriever: Any) -> None:
    runs = [retriever.retrieve(view(), depth=depth) for depth in (1, 2, 3, 4, 5)]
    for short, long in pairwise(runs):
        for query, ranking in short.rankings.items():
            assert long.rankings[query].passages[: short.depth] == ranking.passages


def test_only_the_pool_is_retrieved(retriever: Any) -> None:
    pools = {"q1": ("p5", "p1"), "q2": ("p2",), "q3": tuple(TEXTS)}
    run = retriever.retrieve(view(pools=pools), depth=4)
    assert {query: len(ranking.passages) for query, ranking in run.rankings.items()} == {"q1": 2, "q2": 1, "q3": 4}
    assert all(set(run.rankings[query].passages) <= set(pool) for query, pool in pools.items())
    assert best_first(run)


def test_an_empty_pool_gives_an_empty_ranking(retriever: Any) -> None:
    run = retriever.retrieve(view(pools={"q1": (), "q2": ("p2",), "q3": ("p1", "p3")}), depth=4)
    assert run.rankings["q1"].passages == ()
    run = retriever.retrieve(view(pools=dict.fromkeys(QUESTIONS, ())), depth=4)
    assert {ranking.passages for ranking in run.rankings.values()} == {()}


def test_order_of_passages_queries_and_pools_does_not_matter(retriever: Any) -> None:
    shuffle = random.Random(1).sample
    plain = view(pools=dict.fromkeys(QUESTIONS, tuple(TEXTS)))
    shuffled = RetrievalView(
        shuffle(plain.passages, 5),
        shuffle(plain.queries, 3),
        dict.fromkeys(QUESTIONS, tuple(shuffle(sorted(TEXTS), 5))),
    )
    assert retriever.retrieve(shuffled, depth=5).rankings == retriever.retrieve(plain, depth=5).rankings


def test_a_second_instance_gives_the_same_run(retriever: Any) -> None:
    again = built(retriever.name.partition(":")[0])
    assert again.retrieve(view(), depth=5) == retriever.retrieve(view(), depth=5)


def test_equal_scores_stand_in_order_of_passage_id(retriever: Any) -> None:
    if retriever.name == "random":
        pytest.skip("chance draws a score per passage, whatever its text")
    others = {name: text for name, text in TEXTS.items() if name != "p3"}
    texts = {"c2": TEXTS["p3"], "c0": TEXTS["p3"], **others, "c1": TEXTS["p3"]}
    for pools in (None, {"q": tuple(texts)}):
        whole = retriever.retrieve(view(texts, {"q": TEXTS["p3"]}, pools), depth=len(texts)).rankings["q"]
        places = [whole.passages.index(copy) for copy in ("c0", "c1", "c2")]
        assert places == [places[0], places[0] + 1, places[0] + 2]
        assert len({whole.scores[place] for place in places}) == 1
        cut = retriever.retrieve(view(texts, {"q": TEXTS["p3"]}, pools), depth=places[1] + 1).rankings["q"]
        assert cut.passages == whole.passages[: places[1] + 1]


def test_an_empty_query_scores_zero_everywhere(retriever: Any) -> None:
    if retriever.name == "random":
        pytest.skip("chance never reads the query")
    for pools, expected in ((None, ("p1", "p2")), ({"q": ("p4", "p3", "p5")}, ("p3", "p4"))):
        ranking = retriever.retrieve(view(questions={"q": "  "}, pools=pools), depth=2).rankings["q"]
        assert ranking.passages == expected
        assert ranking.scores == (0.0, 0.0)


def test_a_single_passage_is_found(retriever: Any) -> None:
    run = retriever.retrieve(view({"only": TEXTS["p1"]}), depth=10)
    assert {ranking.passages for ranking in run.rankings.values()} == {("only",)}


def test_any_text_can_be_searched(retriever: Any) -> None:
    texts = {"a": "漢字 🍜 naïve Zürich", "b": "", "c": "\u0000 \ud7ff ﷺ ½", "d": "the of and", "e": "word " * 500}
    run = retriever.retrieve(view(texts, {"q": "Zürich 🍜 漢字", "r": "?!"}), depth=5)
    assert {len(ranking.passages) for ranking in run.rankings.values()} == {5}
    assert best_first(run)


def test_no_query_at_all_gives_an_empty_run(retriever: Any) -> None:
    assert retriever.retrieve(view(questions={}), depth=3).rankings == {}


def test_queries_can_come_one_at_a_time(retriever: Any) -> None:
    searcher, whole = retriever.prepare(view()), retriever.retrieve(view(), depth=5)
    for query in view().queries:
        ranking = searcher.search([query], searcher.encode([query]), depth=5)[query.id]
        assert ranking.passages == whole.rankings[query.id].passages
        assert ranking.scores == pytest.approx(whole.rankings[query.id].scores, abs=1e-6)


def test_facts_are_finite_numbers(retriever: Any) -> None:
    searcher = retriever.prepare(view())
    facts = searcher.facts(searcher.encode(view().queries), depth=3)
    assert all(isinstance(name, str) and float(value) >= 0 for name, value in facts.items())


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (replace(view(), passages=()), "no passages"),
        (replace(view(), passages=(*view().passages, Passage("p1", "again", "", "d"))), "'p1'"),
        (replace(view(), queries=(*view().queries, *view().queries)), "'q1'"),
        (view(pools={"q1": ("p1",), "q2": ("p1",)}), "'q3'"),
        (view(pools=dict.fromkeys(QUESTIONS, ("p1", "p9"))), "'p9'"),
        (view(pools=dict.fromkeys(QUESTIONS, ("p1", "p1"))), "twice"),
    ],
)
def test_an_inconsistent_view_is_refused(retriever: Any, broken: RetrievalView, named: str) -> None:
    with pytest.raises(BadInput, match=named):
        retriever.retrieve(broken, depth=3)


def test_a_depth_below_one_is_refused(retriever: Any) -> None:
    with pytest.raises(UsageError, match="depth of 0"):
        retriever.retrieve(view(), depth=0)


def test_a_view_holds_no_answer() -> None:
    assert [field.name for field in fields(RetrievalView)] == ["passages", "queries", "pools"]
    assert [field.name for field in fields(view().queries[0])] == ["id", "text", "document_id"]


@pytest.mark.parametrize("name", list(RETRIEVERS))
def test_a_component_says_what_it_is(name: str) -> None:
    component: Component = RETRIEVERS[name]
    assert component.shapes and component.version >= 1
    defaults = component.config()
    assert defaults == component.config.model_validate(defaults.model_dump())
    with pytest.raises(ValueError, match="nonsense"):
        component.config.model_validate({"nonsense": 1})
