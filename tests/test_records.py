"""The nouns: frozen, keyed by id, ordered by one rule."""

from __future__ import annotations

import dataclasses
import math

import pytest

from uae_bench.errors import BadInput
from uae_bench.records import Likelihood, Passage, Ranking, Run, Value, batches, by_id


def test_a_ranking_is_best_first_and_equal_scores_stand_in_order_of_passage_id() -> None:
    ranking = Ranking.from_scores({"b": 0.5, "c": 0.9, "a": 0.5, "d": -math.inf}, depth=3)
    assert ranking == Ranking(("c", "a", "b"), (0.9, 0.5, 0.5))


def test_a_ranking_needs_an_order() -> None:
    with pytest.raises(BadInput, match="passage 'b' has the score nan"):
        Ranking.from_scores({"a": 1.0, "b": math.nan}, depth=1)


def test_a_run_is_as_long_as_its_queries() -> None:
    assert len(Run("bm25", 1, {"q": Ranking(("a",), (1.0,))})) == 1


def test_a_likelihoods_mean_is_per_token() -> None:
    assert Likelihood(-3.0, 4).mean == -0.75


def test_undefined_needs_a_reason() -> None:
    assert Value("q", "AP", math.nan, "no evidence").why == "no evidence"
    with pytest.raises(ValueError, match="AP of q is nan without a reason"):
        Value("q", "AP", math.nan)


def test_passages_by_id_refuse_an_id_that_occurs_twice() -> None:
    one, other = Passage("p", "x", "", "d"), Passage("p", "y", "", "d")
    assert by_id([one]) == {"p": one}
    with pytest.raises(BadInput, match="two passages have the id 'p'"):
        by_id([one, other])


def test_nouns_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Value("q", "AP", 1.0).value = 0.0  # type: ignore[misc]


def test_batches_cover_a_range_without_overlap() -> None:
    assert [list(batch) for batch in batches(5, 2)] == [[0, 1], [2, 3], [4]]
    assert list(batches(0, 2)) == []
