"""Reference rows: orders made from what no retriever may see."""

from __future__ import annotations

import pytest

from uae_bench.errors import NotPossible, UnknownName
from uae_bench.records import Passage, Query, Ranking, RetrievalView, Run
from uae_bench.references import (
    REFERENCES,
    by_evidence,
    by_utility,
    is_reference,
    parse_reference,
    refuse_chained,
    reordered,
)

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


@pytest.mark.parametrize("name", REFERENCES)
def test_nothing_follows_a_reference_and_only_one_that_reorders_follows_others(name: str) -> None:
    refuse_chained(name)
    refused = [f"{name} > bm25", f"bm25>{name}>dense", f"{name}>{name}", f"rrf(bm25,{name})", f"rrf(bm25,bm25>{name})"]
    if REFERENCES[name].reorders:
        refuse_chained(f"bm25 > dense:minilm > {name}")
        refuse_chained(f"rrf(bm25,dense:minilm)>{name}")
    else:
        refused.append(f"bm25>{name}")
    for chain in refused:
        with pytest.raises(NotPossible, match="cannot stand in the chain"):
            refuse_chained(chain)


def test_seper_alone_or_after_a_chain_is_a_reference_row() -> None:
    assert [is_reference(name) for name in ("seper", "uae > seper", "bm25", "bm25>dense:seper")] == [1, 1, 0, 0]
    alone, chained = (parse_reference(name, known={"uae": "dense"}) for name in (" seper", "uae > seper"))
    assert (alone.name, alone.first) == ("seper", None)
    assert (chained.name, chained.reference.name) == ("uae>seper", "seper")
    assert chained.first is not None and chained.first.name == "uae"
    with pytest.raises(UnknownName, match="no retriever is called 'uea'"):
        parse_reference("uea>seper", known={"uae": "dense"})


def test_a_run_is_reordered_by_gains_and_kept_where_a_query_has_none() -> None:
    run = Run("first", 3, {"q": Ranking(("d", "c", "b"), (3.0, 2.0, 1.0)), "r": Ranking(("b", "a"), (9.0, 8.0))})
    gains = {"q": {"a": 1.0, "b": 0.5, "c": -0.5, "d": 0.5}}
    after = reordered("first>seper", run, gains, depth=2)
    # a was not found; b and d are worth the same and stand in order of id; r has no answer
    assert after.rankings == {"q": Ranking(("b", "d"), (0.5, 0.5)), "r": run.rankings["r"]}
    assert (after.system, after.depth) == ("first>seper", 2)
