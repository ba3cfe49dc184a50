"""How long a query takes: one at a time, warm, systems in turn."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from uae_bench.errors import BadInput
from uae_bench.progress import SILENT, Progress
from uae_bench.records import Asked, Passage, Query, RetrievalView, Run

if TYPE_CHECKING:
    from uae_bench.retrieval.chain import Chain
    from uae_bench.retrieval.component import Searcher

LEAST_TIMED = 10
"""So many queries are timed, however slow."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """A system with the passages of a view indexed, which runs and timings share.

    `searcher` is its first stage's; None where that fuses `members`.
    """

    chain: Chain
    view: RetrievalView
    searcher: Searcher[Any] | None
    members: tuple[Indexed, ...] = ()


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of each query by stage (encode, search, each reranker), and what language models were asked for it."""

    seconds: Mapping[str, list[float]]
    asked: tuple[Asked, ...]


@dataclass(slots=True)
class _Watch:
    """What one or more queries took in a system, and what was asked for them."""

    seconds: dict[str, float] = field(default_factory=lambda: {"encode": 0.0, "search": 0.0})
    asked: list[Asked] = field(default_factory=list)

    def add(self, stage: str, started: float) -> None:
        """Count the time since then."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started

    def take(self, member: str, other: _Watch) -> None:
        """Count what a member of a fusion took: its rerankers under its name."""
        for stage, seconds in other.seconds.items():
            own = stage if stage in ("encode", "search") else f"{member}: {stage}"
            self.seconds[own] = self.seconds.get(own, 0.0) + seconds
        self.asked += other.asked


@dataclass(frozen=True, slots=True)
class _Clocked:
    """A system that is timed: its rerankers do all their work every time."""

    indexed: Indexed
    passages: Mapping[str, Passage]
    depth: int

    def warm(self, queries: Sequence[Query]) -> None:
        """Loads models and encodes the passages that rerankers will read, then lets a query alone go by."""
        self._answer(self.indexed, queries, self.depth, asking=False)
        self.time(queries[0])  # a first query alone takes longer

    def time(self, query: Query) -> tuple[dict[str, float], tuple[Asked, ...]]:
        """One query's seconds by stage, and what was asked."""
        _, watch = self._answer(self.indexed, [query], self.depth, asking=True)
        return watch.seconds, tuple(watch.asked)

    def _answer(self, system: Indexed, queries: Sequence[Query], depth: int, *, asking: bool) -> tuple[Run, _Watch]:
        """A run over the queries and what it took.

        If not `asking`, rerankers that ask a model are left out, and a run holds whatever passages they may leave.
        """
        chain, searcher, watch = system.chain, system.searcher, _Watch()
        if searcher is None:
            run = self._fused(system, queries, depth, watch, asking=asking)
        else:
            started = time.perf_counter()
            encoded = searcher.encode(queries)
            watch.add("encode", started)
            started = time.perf_counter()
            run = Run(chain.name, depth, searcher.search(queries, encoded, depth=depth))
            watch.add("search", started)
        for place, reranker in enumerate(chain.rerankers, start=1):
            clocked = reranker.forgetful()
            if not asking and clocked is not reranker:
                continue
            alone = self._found_by(run, queries)
            started = time.perf_counter()
            reranked = clocked.rerank(alone, run, depth=run.depth)
            watch.add(f"rerank {place}", started)
            run = reranked.run
            watch.asked += reranked.asked
        return Run(chain.name, run.depth, run.rankings), watch

    def _fused(self, system: Indexed, queries: Sequence[Query], depth: int, watch: _Watch, *, asking: bool) -> Run:
        from uae_bench.retrieval.chain import Fusion

        assert isinstance(system.chain.first, Fusion)  # what has no searcher fuses
        rule, runs = system.chain.first.rule, list[Run]()
        for member in system.members:
            found, took = self._answer(member, queries, rule.member_depth(depth), asking=asking)
            runs.append(found)
            watch.take(member.chain.name, took)
        if not asking and any(map(_asks, system.members)):
            depth = sum(run.depth for run in runs)  # their order decides which passages are kept: all may be
        started = time.perf_counter()
        fused = rule.fuse(system.chain.name, runs, depth)
        watch.add("search", started)
        return fused

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


def _asks(system: Indexed) -> bool:
    """Whether one of its rerankers asks a model, or one of its members'."""
    return any(reranker.forgetful() is not reranker for reranker in system.chain.rerankers) or any(
        map(_asks, system.members)
    )


def _clocked(system: Indexed, depth: int) -> _Clocked:
    return _Clocked(system, {passage.id: passage for passage in system.view.passages}, depth)
