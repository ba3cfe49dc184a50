"""Reference rows: orders made from what no retriever may see."""

from __future__ import annotations

import pytest

from uae_bench.errors import NotPossible
from uae_bench.records import Passage, Query, RetrievalView
from uae_bench.references import REFERENCES, by_evidence, by_utility, refuse_chained

VIEW = RetrievalView(
    tuple(Passage(name, "text", "", "d") for name in "abcd"),
    (Query("q", "?", "d"), Query("r", "?", "d")),
    {"q": ("d", "c", "b"), "r": ("a", "b")},
)


def test_evidence_is_ordered_by_grade_and_ties_by_passage_id() -> None:
    run = by_evidence(VIEW, {"q": {"d": 1, "c": 2, "a": 3}}, {}, depth=5)
    # q: c has grade 2, d has 1, b none; a is not in the pool. r has no judgement: order of ids
    assert run.rankings["q"].passages == ("c", "d", "b")
    assert run.rankings["q"].scores == (2.0, 1.0, 0.0)
    assert run.rankings["r"].passages == ("a", "b")


def test_utility_puts_what_has_none_last() -> None:
    run = by_utility(VIEW, {}, {"q": {"b": -0.5, "d": -0.1}}, depth=5)
    assert run.rankings["q"].passages == ("d", "b", "c")
    assert run.rankings["r"].passages == ("a", "b")


def test_a_reference_keeps_as_much_as_any_system() -> None:
    run = by_evidence(VIEW, {"q": {"b": 1}}, {}, depth=1)
    assert {query: ranking.passages for query, ranking in run.rankings.items()} == {"q": ("b",), "r": ("a",)}


def test_without_pools_the_whole_corpus_is_ordered() -> None:
    run = by_evidence(RetrievalView(VIEW.passages, VIEW.queries, None), {"r": {"d": 1}}, {}, depth=4)
    assert run.rankings["r"].passages == ("d", "a", "b", "c")


def test_a_reference_stands_in_no_chain() -> None:
    for name in REFERENCES:
        refuse_chained(name)
        for chain in (f"bm25>{name}", f"{name} > bm25"):
            with pytest.raises(NotPossible, match="cannot stand in the chain"):
                refuse_chained(chain)
