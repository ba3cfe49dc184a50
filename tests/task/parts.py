"""Small tasks for tests, written out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uae_bench.records import Passage, Query
from uae_bench.task.card import TaskCard, parse_card
from uae_bench.task.readers.raw import RawTask
from uae_bench.task.task import Task, assembled

SPLITS = {"train": {"use": "train"}, "dev": {"use": "dev"}, "test": {"use": "test"}}


def card_of(reader: str = "squad", **changes: Any) -> TaskCard:
    """A card with every default and the reader named."""
    content = {
        "name": "small", "title": "A small task", "license": "CC0-1.0", "reader": reader, "splits": SPLITS,
        "pool": "document", "encoder": "minilm",
    }  # fmt: skip
    return parse_card({**content, **changes}, "small.toml")


def task_of(passages: Mapping[str, str], queries: Mapping[str, str | None]) -> Task:
    """A task of passages (id -> document) and test queries (id -> document)."""
    raw = RawTask()
    for identity, document in passages.items():
        raw.add_passage(Passage(identity, f"text of {identity}", "", document), identity)
    for identity, asked_about in queries.items():
        raw.add_query(Query(identity, f"what of {identity}?", asked_about), identity, "test")
    return assembled(card_of(), raw)
