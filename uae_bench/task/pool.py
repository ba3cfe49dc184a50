"""Pools: the passages that a query may retrieve. Built once, the same for every system; term statistics do not care."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from uae_bench.errors import BadInput, NotPossible
from uae_bench.records import Ranking, Run

if TYPE_CHECKING:
    from uae_bench.task.task import Task


def document_pools(task: Task, split: str) -> Mapping[str, tuple[str, ...]]:
    """Per query, all passages of the document that it was asked about.

    Raises:
        NotPossible: a query names no document, or one without passages.
    """
    pools = {}
    for identity in task.split(split).queries:
        document = task.queries[identity].document_id
        if document is None or document not in task.documents:
            raise NotPossible(
                f"query {identity!r} of task {task.name} names no document that has passages",
                hint="use --pool corpus",
            )
        pools[identity] = task.documents[document]
    return pools


def hard_pools(queries: Iterable[str], base: Run, reward: Run, size: int) -> Mapping[str, tuple[str, ...]]:
    """Per query, `size` passages: half the best of the base encoder, half the best of the reward model, no repeats.

    The two rankings take turns, the base encoder first; a passage that is already in is skipped, and where one ranking
    is used up the other goes on. Where both together hold fewer than `size`, the pool is all that they hold.

    Raises:
        BadInput: a run lacks one of the queries, or `size` is below 1.
    """
    if size < 1:
        raise BadInput(f"a hard pool of {size} passages is empty", hint="choose a size of 1 or more")
    pools = {}
    for identity in queries:
        first, second = (_ranking(run, identity) for run in (base, reward))
        turns = chain.from_iterable(zip_longest(first.passages, second.passages))
        pools[identity] = tuple(dict.fromkeys(passage for passage in turns if passage is not None))[:size]
    return pools


def small_pools(pools: Mapping[str, tuple[str, ...]], size: int) -> int:
    """How many pools hold fewer than `size` passages: to be said beside any result on a hard pool."""
    return sum(len(pool) < size for pool in pools.values())


def _ranking(run: Run, query: str) -> Ranking:
    if query not in run.rankings:
        raise BadInput(f"the run of {run.system} lacks query {query!r}", hint="retrieve the whole split first")
    return run.rankings[query]
