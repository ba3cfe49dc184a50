"""The one tie rule, on arrays: score descending, then passage id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uae_bench.errors import BadInput
from uae_bench.prompts import shown
from uae_bench.records import Passage, Query, Ranking, RetrievalView
from uae_bench.retrieval.component import checked_depth

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Candidates:
    """A view's passages in order of id, so that of two equal scores the smaller row comes first."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    pools: Mapping[str, Rows] | None

    @classmethod
    def of(cls, view: RetrievalView, *, pooled_only: bool = False) -> Candidates:
        """All passages of the corpus, or with `pooled_only` those that some pool of the view holds.

        Raises:
            BadInput: no passages, a repeated passage or query id, a query without a pool, or a pool with an unknown
                or repeated passage.
        """
        passages = _unique(view)
        pools = None if view.pools is None else {q.id: _pool(view.pools, q, passages) for q in view.queries}
        pooled = {passage for pool in (pools or {}).values() for passage in pool}
        ids = tuple(sorted(pooled if pooled_only and pools is not None else passages))
        row = {passage: position for position, passage in enumerate(ids)}
        return cls(
            ids,
            tuple(shown(passages[passage]) for passage in ids),
            None if pools is None else {query: _rows(row, pool) for query, pool in pools.items()},
        )

    def count(self, query: Query) -> int:
        """How many passages the query may retrieve."""
        return len(self.ids) if self.pools is None else len(self.pools[query.id])

    def ranking(self, rows: Rows, scores: NDArray[np.floating]) -> Ranking:
        """Rows that already stand best first, as a ranking."""
        return Ranking(tuple(self.ids[row] for row in rows), tuple(scores.tolist()))

    def best(self, query: Query, scores: NDArray[np.floating], depth: int) -> Ranking:
        """The best `depth` of a query's pool, given the scores of its pool's rows (without pools: of all rows)."""
        top = top_rows(scores, depth)
        rows = top if self.pools is None else self.pools[query.id][top]
        return self.ranking(rows, scores[top])


def top_rows(scores: NDArray[np.floating], depth: int) -> Rows:
    """Indices of the `depth` greatest scores, best first; of equal scores the smaller index is first.

    Raises:
        BadInput: a score is nan.
        UsageError: the depth is below 1.
    """
    count = min(checked_depth(depth), len(scores))
    if np.isnan(scores).any():
        raise BadInput("a score is nan; a ranking needs an order", hint="look at the texts that it was given")
    rows = np.arange(len(scores))
    if count < len(scores):
        last = np.partition(scores, len(scores) - count)[len(scores) - count]
        above = np.flatnonzero(scores > last)
        rows = np.concatenate([above, np.flatnonzero(scores == last)[: count - len(above)]])
    return rows[np.argsort(-scores[rows], kind="stable")]


def _rows(row: Mapping[str, int], pool: Iterable[str]) -> Rows:
    return np.array(sorted(row[passage] for passage in pool), dtype=np.intp)


def _unique(view: RetrievalView) -> dict[str, Passage]:
    passages = {passage.id: passage for passage in view.passages}
    if not passages:
        raise BadInput("the view has no passages", hint="look at the task with: uae-bench task check")
    for kind, ids in (("passage", [p.id for p in view.passages]), ("query", [q.id for q in view.queries])):
        if len(set(ids)) < len(ids):
            repeated = next(item for item in ids if ids.count(item) > 1)
            raise BadInput(f"the {kind} id {repeated!r} occurs twice in the view", hint="make ids unique")
    return passages


def _pool(pools: Mapping[str, tuple[str, ...]], query: Query, passages: Mapping[str, Passage]) -> tuple[str, ...]:
    pool = pools.get(query.id)
    if pool is None:
        raise BadInput(f"the query {query.id!r} has no pool", hint="give every query of the view a pool")
    unknown = [passage for passage in pool if passage not in passages]
    if unknown or len(set(pool)) < len(pool):
        what = f"holds {unknown[0]!r}, which is no passage of the view" if unknown else "holds a passage twice"
        raise BadInput(f"the pool of query {query.id!r} {what}", hint="build pools from the view's own passages")
    return pool
