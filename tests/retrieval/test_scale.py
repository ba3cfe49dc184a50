"""Search among vectors that nobody encoded."""

from __future__ import annotations

import numpy as np
import pytest

from uae_bench.retrieval.scale import OUTSIDE, SUBSPACE, time_search, unit_vectors


@pytest.mark.parametrize("dimension", [16, 64, 384])
def test_made_up_vectors_have_unit_length_and_lie_near_a_subspace(dimension: int) -> None:
    vectors = unit_vectors(4000, dimension, np.random.default_rng(0))
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4000), abs=1e-5)
    shares = np.linalg.svd(vectors, compute_uv=False) ** 2 / 4000
    assert shares[:SUBSPACE].sum() == pytest.approx(1 - OUTSIDE * max(1 - SUBSPACE / dimension, 0), abs=0.03)


def test_queries_and_passages_share_the_subspace_and_the_same_seed_gives_the_same_vectors() -> None:
    passages, queries = (unit_vectors(3000, 256, np.random.default_rng(seed)) for seed in (0, 1))
    assert np.array_equal(passages, unit_vectors(3000, 256, np.random.default_rng(0)))
    both = np.concatenate([passages, queries])
    shares = np.linalg.svd(both, compute_uv=False) ** 2 / len(both)
    assert shares[:SUBSPACE].sum() > 0.85  # two subspaces would need 64 axes for that
    assert shares[SUBSPACE] < shares[SUBSPACE - 1] / 3


def test_every_query_is_timed_alone_and_recall_is_against_exact_search() -> None:
    rng = np.random.default_rng(0)
    queries, vectors = unit_vectors(20, 48, rng), unit_vectors(2000, 48, rng)
    flat, hnsw = time_search(vectors, queries, 10)
    assert [flat.kind, hnsw.kind] == ["flat", "hnsw"]
    assert flat.recall == 1.0
    assert 0.9 < hnsw.recall <= 1.0
    assert [len(times.seconds) for times in (flat, hnsw)] == [20, 20]
    assert min(*flat.seconds, *hnsw.seconds) > 0
    assert hnsw.build_seconds > flat.build_seconds


def test_exact_search_comes_first_whatever_is_asked_for() -> None:
    rng = np.random.default_rng(0)
    found = time_search(unit_vectors(500, 8, rng), unit_vectors(3, 8, rng), 5, ("ivf",))
    assert [times.kind for times in found] == ["flat", "ivf"]
