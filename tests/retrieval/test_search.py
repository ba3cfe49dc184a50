from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uae_bench.errors import BadInput, UsageError
from uae_bench.retrieval.ranking import top_rows
from uae_bench.retrieval.search import Vectors, build_index, nearest_rows, rank_pools, recall_against_exact


def unit_rows(count: int, dimension: int, seed: int) -> Vectors:
    rows = np.random.default_rng(seed).normal(size=(count, dimension))
    unit: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def brute_force(vectors: Vectors, query: Vectors, depth: int) -> list[int]:
    scores = (vectors.astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
    return sorted(range(len(vectors)), key=lambda row: (-scores[row], row))[:depth]


@pytest.mark.parametrize("depth", [1, 10, 100, 1000, 5000])
def test_flat_search_equals_brute_force(depth: int) -> None:
    vectors, queries = unit_rows(1000, 24, seed=0), unit_rows(20, 24, seed=1)
    found = nearest_rows(build_index(vectors), queries, depth)
    assert [rows.tolist() for rows, _ in found] == [brute_force(vectors, query, depth) for query in queries]


def test_equal_vectors_stand_in_order_of_row_however_many_there_are() -> None:
    # 200 copies: far more than the search looks at beyond the depth
    vectors = np.repeat(unit_rows(5, 8, seed=0), 200, axis=0)
    [(rows, scores)] = nearest_rows(build_index(vectors), vectors[400:401], 7)
    assert rows.tolist() == [400, 401, 402, 403, 404, 405, 406]
    assert len(set(scores.tolist())) == 1


def test_pools_give_the_scores_of_the_corpus() -> None:
    vectors, queries = unit_rows(50, 8, seed=0), unit_rows(3, 8, seed=1)
    pools = [np.array([1, 4, 30]), np.array([], dtype=np.intp), np.arange(50)]
    whole = [dict(zip(r.tolist(), s.tolist(), strict=True)) for r, s in nearest_rows(build_index(vectors), queries, 50)]
    for (rows, scores), pool, corpus in zip(rank_pools(vectors, queries, pools, 2), pools, whole, strict=True):
        assert scores.tolist() == [corpus[row] for row in rows.tolist()]
        assert rows.tolist() == sorted(pool.tolist(), key=lambda row: (-corpus[row], row))[:2]


def test_approximate_indexes_miss_little_and_say_how_much() -> None:
    vectors, queries = unit_rows(4000, 16, seed=0), unit_rows(50, 16, seed=1)
    recalls = {kind: recall_against_exact(build_index(vectors, kind), queries, 10) for kind in ("flat", "hnsw", "ivf")}
    assert recalls["flat"] == 1.0
    assert 0.95 < recalls["hnsw"] <= 1.0
    assert 0.5 < recalls["ivf"] < 1.0  # random directions have no cells to speak of: it must show


def test_recall_is_the_share_of_the_exact_best() -> None:
    # an index that holds only the first two of four rows: of the best two of (1, 0), rows 3 and 0, it finds one
    vectors = np.array([[0.8, 0.6], [-1, 0], [0, 1], [1, 0]], dtype=np.float32)
    whole = build_index(vectors)
    lossy = replace(build_index(vectors[:2]), kind="hnsw", vectors=vectors)
    query = vectors[3:]
    assert [rows.tolist() for rows, _ in nearest_rows(whole, query, 2)] == [[3, 0]]
    assert [rows.tolist() for rows, _ in nearest_rows(lossy, query, 2)] == [[0, 1]]
    assert recall_against_exact(lossy, query, 2) == 1 / 2
    assert recall_against_exact(whole, query, 2) == 1.0


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf"])
def test_an_index_is_built_the_same_twice_and_of_a_single_row(kind: str) -> None:
    vectors, queries = unit_rows(500, 8, seed=0), unit_rows(10, 8, seed=1)
    first, second = (nearest_rows(build_index(vectors, kind), queries, 5) for _ in range(2))  # type: ignore[arg-type]
    assert all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in zip(first, second, strict=True))
    [(rows, _)] = nearest_rows(build_index(vectors[:1], kind), queries[:1], 5)  # type: ignore[arg-type]
    assert rows.tolist() == [0]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=30), st.integers(1, 40))
def test_top_rows_is_the_head_of_a_full_sort(scores: list[float], depth: int) -> None:
    expected = sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:depth]
    assert top_rows(np.array(scores), depth).tolist() == expected


def test_a_score_that_is_nan_is_refused() -> None:
    with pytest.raises(BadInput, match="nan"):
        top_rows(np.array([1.0, np.nan]), 1)
    with pytest.raises(UsageError, match="depth of -1"):
        top_rows(np.array([1.0]), -1)
