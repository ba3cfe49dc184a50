"""Pools: document, corpus, hard."""

from __future__ import annotations

import pytest

from tests.task.parts import task_of
from uae_bench.errors import BadInput, NotPossible
from uae_bench.records import Ranking, Run
from uae_bench.task.pool import document_pools, hard_pools, small_pools

TASK = task_of({"a#0": "a", "a#1": "a", "b#0": "b"}, {"q1": "a", "q2": "b"})


def run(**rankings: str) -> Run:
    scores = {query: {one: -float(place) for place, one in enumerate(ids.split())} for query, ids in rankings.items()}
    return Run("x", 50, {query: Ranking.from_scores(each, 50) for query, each in scores.items()})


def test_a_document_pool_is_every_passage_of_the_querys_document() -> None:
    assert document_pools(TASK, "test") == {"q1": ("a#0", "a#1"), "q2": ("b#0",)}


def test_a_query_without_a_document_has_no_document_pool() -> None:
    with pytest.raises(NotPossible, match=r"'q1'.*names no document") as error:
        document_pools(task_of({"a#0": "a"}, {"q1": None}), "test")
    assert "--pool corpus" in error.value.hint


def test_a_hard_pool_takes_turns_and_repeats_nothing() -> None:
    # base: a b c, reward: b d e -> turns a, b | b (in already), d | c, e -> cut at 4: a b d c
    pools = hard_pools(("q1", "q2"), run(q1="a b c", q2="a"), run(q1="b d e", q2="a"), 4)
    assert pools["q1"] == ("a", "b", "d", "c")


def test_half_of_a_hard_pool_comes_from_each_ranking_where_they_are_disjoint() -> None:
    pools = hard_pools(("q1", "q2"), run(q1="a b c d", q2="x"), run(q1="e f g h", q2="x"), 4)
    assert sorted(pools["q1"]) == ["a", "b", "e", "f"]


def test_a_hard_pool_goes_on_with_the_longer_ranking_and_may_stay_small() -> None:
    pools = hard_pools(("q1", "q2"), run(q1="a", q2="x"), run(q1="a e f g", q2="x"), 4)
    assert pools["q1"] == ("a", "e", "f", "g")
    assert pools["q2"] == ("x",)
    assert small_pools(pools, 4) == 1


def test_a_hard_pool_needs_every_query_in_both_runs() -> None:
    with pytest.raises(BadInput, match="lacks query 'q2'"):
        hard_pools(("q1", "q2"), run(q1="a"), run(q1="a", q2="a"), 4)
