"""Nearest vectors by inner product: exactly, or by an index whose recall against exact search can be measured.

Whatever finds them, scores are the inner products in float64 rounded to float32, so that a passage's score does not
depend on how it was found and equal passages have equal scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from uae_bench.retrieval.component import checked_depth
from uae_bench.retrieval.ranking import Rows, top_rows

if TYPE_CHECKING:
    import faiss

Vectors = NDArray[np.float32]
IndexKind = Literal["flat", "hnsw", "ivf"]
Found = tuple[Rows, Vectors]  # rows best first, and their scores

HNSW_LINKS = 32
HNSW_BUILD_WIDTH = 200
HNSW_SEARCH_WIDTH = 128
IVF_ROWS_PER_CELL = 39  # fewer, and k-means warns that its cells are badly placed
IVF_PROBED_SHARE = 8  # one cell in eight is looked into
_SPARE = 16  # rows looked at beyond the depth, to see whether the cut is clear
_ROUNDING = 1e-5  # more than float32 inner products of unit vectors differ from exact ones


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """Passage vectors (C, D), the greatest of their lengths, and the faiss index over them."""

    kind: IndexKind
    vectors: Vectors
    longest: float
    faiss: faiss.Index


def build_index(vectors: Vectors, kind: IndexKind = "flat") -> VectorIndex:
    """Index the rows of a matrix (C, D), C at least 1. The same rows give the same index.

    `hnsw`: 32 links, build width 200. `ivf`: about 4 sqrt(C) cells, at least 39 rows to a cell, one in eight probed.
    """
    index = _empty_index(kind, *vectors.shape)
    with _one_thread():  # threads would race for the order in which hnsw links its rows
        if not index.is_trained:
            index.train(vectors)
        index.add(vectors)
    return VectorIndex(kind, vectors, float(np.linalg.norm(vectors, axis=1).max()), index)


def nearest_rows(index: VectorIndex, queries: Vectors, depth: int) -> list[Found]:
    """For each query (Q, D) the `depth` rows of greatest inner product, of equal ones the smaller row first.

    Exact for `flat`. `hnsw` and `ivf` may miss some, and may find fewer than `depth`.
    """
    count = min(checked_depth(depth), len(index.vectors))
    found: dict[int, Found] = {}
    width, open_queries = min(count + _SPARE, len(index.vectors)), list(range(len(queries)))
    while open_queries:
        for position, rows, lowest in _search(index, queries, open_queries, width):
            scores = exact_scores(index.vectors[rows], queries[position])
            top = top_rows(scores, count)
            margin = _ROUNDING * float(np.linalg.norm(queries[position])) * index.longest
            if index.kind != "flat" or width == len(index.vectors) or scores[top[-1]] > lowest + margin:
                found[position] = (rows[top], scores[top])
        open_queries = [position for position in open_queries if position not in found]
        width = min(2 * width, len(index.vectors))
    return [found[position] for position in range(len(queries))]


def rank_pools(vectors: Vectors, queries: Vectors, pools: Sequence[Rows], depth: int) -> list[Found]:
    """As `nearest_rows`, exactly, out of each query's own pool of ascending rows of `vectors`."""
    found = []
    for query, pool in zip(queries, pools, strict=True):
        scores = exact_scores(vectors[pool], query)
        top = top_rows(scores, depth)
        found.append((pool[top], scores[top]))
    return found


def exact_scores(vectors: Vectors, query: Vectors) -> Vectors:
    """Inner products of a query (D,) with rows (C, D)."""
    products: NDArray[np.float64] = vectors.astype(np.float64) @ query.astype(np.float64)
    return products.astype(np.float32)


def recall_against_exact(index: VectorIndex, queries: Vectors, depth: int) -> float:
    """The share of each query's exact best `depth` rows that the index finds, averaged over queries (Q, D), Q > 0."""
    exact = build_index(index.vectors, "flat")
    pairs = zip(nearest_rows(exact, queries, depth), nearest_rows(index, queries, depth), strict=True)
    return float(np.mean([np.isin(best, found).mean() for (best, _), (found, _) in pairs]))


def _empty_index(kind: IndexKind, rows: int, dimension: int) -> faiss.Index:
    import faiss

    if kind == "flat":
        return faiss.IndexFlatIP(dimension)
    if kind == "hnsw":
        graph = faiss.IndexHNSWFlat(dimension, HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = HNSW_BUILD_WIDTH
        return graph
    cells = max(1, min(round(4 * rows**0.5), rows // IVF_ROWS_PER_CELL))
    inverted = faiss.IndexIVFFlat(faiss.IndexFlatIP(dimension), dimension, cells, faiss.METRIC_INNER_PRODUCT)
    inverted.nprobe = max(1, cells // IVF_PROBED_SHARE)
    return inverted


def _search(
    index: VectorIndex, queries: Vectors, positions: list[int], width: int
) -> Iterator[tuple[int, Rows, float]]:
    """Per query its position, the rows that faiss finds in ascending order, and the lowest of their scores."""
    import faiss

    if isinstance(index.faiss, faiss.IndexHNSW):
        index.faiss.hnsw.efSearch = max(width, HNSW_SEARCH_WIDTH)
    scores, rows = index.faiss.search(queries[positions], width)
    for position, its_rows, its_scores in zip(positions, rows, scores, strict=True):
        hits = its_rows >= 0  # faiss fills up with -1 where an approximate index reaches too few rows
        yield position, np.sort(its_rows[hits]), float(its_scores[hits][-1]) if hits.any() else float("-inf")


@contextmanager
def _one_thread() -> Iterator[None]:
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
