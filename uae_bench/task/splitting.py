"""Splits drawn by a hash of the document: the same for everybody who has the same seed and the same documents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from uae_bench.records import Query
from uae_bench.task.card import SplitCard

DEFAULT_SHARES = {
    "train": SplitCard(use="train", share=0.7),
    "dev": SplitCard(use="dev", share=0.1),
    "test": SplitCard(use="test", share=0.2),
}


def draw_splits(queries: Iterable[Query], splits: Mapping[str, SplitCard], seed: int) -> dict[str, list[str]]:
    """Query ids per split, whole documents together.

    Documents stand in order of sha256("seed:document id") and are cut by their number at the rounded cumulative
    shares. A query that belongs to no document is a document of its own.
    """
    by_document: dict[str, list[str]] = {}
    for query in queries:
        by_document.setdefault(query.document_id or query.id, []).append(query.id)
    order = sorted(by_document, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())
    drawn: dict[str, list[str]] = {}
    start, cumulative = 0, 0.0
    for name, split in splits.items():
        cumulative += split.share or 0.0
        stop = round(cumulative * len(order))
        drawn[name] = [query for document in order[start:stop] for query in by_document[document]]
        start = stop
    return drawn
