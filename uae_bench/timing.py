"""How long a query takes: one at a time, warm, systems in turn."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uae_bench.errors import BadInput
from uae_bench.progress import SILENT, Progress
from uae_bench.records import Asked, Passage, Query, RetrievalView, Run

if TYPE_CHECKING:
    from uae_bench.retrieval.chain import Chain
    from uae_bench.retrieval.component import Reranker, Searcher

LEAST_TIMED = 10
"""So many queries are timed, however slow."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """A system with the passages of a view indexed, which runs and timings share."""

    chain: Chain
    view: RetrievalView
    searcher: Searcher[Any]


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of each query by stage (encode, search, each reranker), and what language models were asked for it."""

    seconds: Mapping[str, list[float]]
    asked: tuple[Asked, ...]


@dataclass(frozen=True, slots=True)
class _Clocked:
    """A system that is timed: its rerankers do all their work every time."""

    indexed: Indexed
    rerankers: tuple[Reranker, ...]
    passages: Mapping[str, Passage]
    depth: int

    def warm(self, queries: Sequence[Query]) -> None:
        """Loads models and encodes the passages that rerankers will read, then lets a query alone go by."""
        chain, searcher = self.indexed.chain, self.indexed.searcher
        run = Run(chain.name, self.depth, searcher.search(queries, searcher.encode(queries), depth=self.depth))
        for usual, reranker in zip(chain.rerankers, self.rerankers, strict=True):
            if reranker is usual:  # one that asks would ask for nothing
                reranker.rerank(self._found_by(run, queries), run, depth=self.depth)
        self.time(queries[0])  # a first query alone takes longer

    def time(self, query: Query) -> tuple[dict[str, float], tuple[Asked, ...]]:
        """One query's seconds by stage, and what was asked."""
        searcher = self.indexed.searcher
        started = time.perf_counter()
        encoded = searcher.encode([query])
        between = time.perf_counter()
        found = searcher.search([query], encoded, depth=self.depth)
        seconds = {"encode": between - started, "search": time.perf_counter() - between}
        run, asked = Run(self.indexed.chain.name, self.depth, found), list[Asked]()
        for place, reranker in enumerate(self.rerankers, start=1):
            alone = self._found_by(run, [query])
            started = time.perf_counter()
            reranked = reranker.rerank(alone, run, depth=self.depth)
            seconds[f"rerank {place}"] = time.perf_counter() - started
            run = reranked.run
            asked += reranked.asked
        return seconds, tuple(asked)

    def _found_by(self, run: Run, queries: Sequence[Query]) -> RetrievalView:
        """The queries with the passages that a run holds for them, and no others."""
        pools = {query.id: run.rankings[query.id].passages for query in queries}
        kept = dict.fromkeys(passage for pool in pools.values() for passage in pool)
        return RetrievalView(tuple(self.passages[passage] for passage in kept), tuple(queries), pools)


def time_queries(
    systems: Sequence[Indexed], *, depth: int, sample: int, seconds: float, progress: Progress = SILENT
) -> list[Timed]:
    """As `pipeline.time_queries`."""
    asked = [system.view.queries[:sample] for system in systems]
    if any(queries != asked[0] for queries in asked):
        raise BadInput("the systems to be timed were indexed for different queries", hint="index one view for all")
    clocked = [_clocked(system, depth) for system in systems]
    for system in clocked:
        system.warm(asked[0])
    rows: list[list[tuple[dict[str, float], tuple[Asked, ...]]]] = [[] for _ in systems]
    until = time.perf_counter() + seconds
    for turn, query in enumerate(progress.track(asked[0], total=len(asked[0]), label="time queries")):
        order = range(len(systems)) if turn % 2 == 0 else reversed(range(len(systems)))
        for place in order:
            rows[place].append(clocked[place].time(query))
        if turn + 1 >= LEAST_TIMED and time.perf_counter() > until:
            break
    return [
        Timed(
            {stage: [took[stage] for took, _ in own] for stage in own[0][0]},
            tuple(one for _, found in own for one in found),
        )
        for own in rows
    ]


def _clocked(system: Indexed, depth: int) -> _Clocked:
    rerankers = tuple(reranker.forgetful() for reranker in system.chain.rerankers)
    return _Clocked(system, rerankers, {passage.id: passage for passage in system.view.passages}, depth)
