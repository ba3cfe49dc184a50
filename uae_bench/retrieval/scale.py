"""Search among more vectors than a task has passages: how long a query takes, and what an index misses.

Nobody encoded these vectors. Exact search does not read what they hold; a graph does, so they lie as embeddings of text
do, near a subspace of few dimensions: in all directions alike they would be nearly equidistant, and no graph would find
anything among them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uae_bench.retrieval.search import IndexKind, build_index, nearest_rows

Vectors = NDArray[np.float32]

SUBSPACE = 32
"""Dimensions that made-up vectors mostly lie in; estimates for embeddings of text are in the tens."""
OUTSIDE = 0.1
"""The share of their squared length that lies anywhere."""
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class SearchTimes:
    """One index over many vectors: seconds to build it, bytes it added to the process, seconds of each query alone,
    and the share of the exact best rows that it found."""

    kind: IndexKind
    build_seconds: float
    added_bytes: int
    seconds: tuple[float, ...]
    recall: float


def unit_vectors(rows: int, dimension: int, rng: np.random.Generator) -> Vectors:
    """Made-up unit vectors (rows, dimension), nine tenths of their squared length within 32 dimensions; the subspace is
    that of the dimension alone, so that queries and passages share it."""
    width = min(SUBSPACE, dimension)
    basis, _ = np.linalg.qr(np.random.default_rng(dimension).standard_normal((dimension, width)))
    axes = basis.T.astype(np.float32)  # (32, D)
    spread = np.float32((OUTSIDE / (1 - OUTSIDE) * width / dimension) ** 0.5)
    vectors = np.empty((rows, dimension), dtype=np.float32)
    for start in range(0, rows, _CHUNK):
        chunk = vectors[start : start + _CHUNK]
        rng.standard_normal(out=chunk, dtype=np.float32)
        chunk *= spread
        chunk += rng.standard_normal((len(chunk), width), dtype=np.float32) @ axes
        chunk /= np.linalg.norm(chunk, axis=1, keepdims=True)
    return vectors


def time_search(
    vectors: Vectors,
    queries: Vectors,
    depth: int,
    kinds: Sequence[IndexKind] = ("flat", "hnsw"),
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[SearchTimes]:
    """Exact search, then other kinds, over vectors (C, D): each query (Q, D) alone for its best `depth` rows, warm.

    An index is freed before the next is built, so that both never lie in memory at once.
    """
    exact: list[NDArray[np.intp]] = []
    every: tuple[IndexKind, ...] = ("flat", *(kind for kind in kinds if kind != "flat"))
    for kind in every:
        before = _resident_bytes()
        started = clock()
        index = build_index(vectors, kind)
        built, added = clock() - started, _resident_bytes() - before
        nearest_rows(index, queries[:1], depth)  # a first query takes longer
        seconds, found = [], []
        for place in range(len(queries)):
            started = clock()
            ((rows, _),) = nearest_rows(index, queries[place : place + 1], depth)
            seconds.append(clock() - started)
            found.append(rows)
        exact = exact or found
        recall = np.mean([np.isin(best, rows).mean() for best, rows in zip(exact, found, strict=True)])
        del index
        yield SearchTimes(kind, built, added, tuple(seconds), float(recall))


def _resident_bytes() -> int:
    import faiss

    return 1024 * int(faiss.get_mem_usage_kb())
