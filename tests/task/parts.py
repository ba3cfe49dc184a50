"""Small tasks and files for tests, written out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uae_bench.records import Passage, Query
from uae_bench.task.card import TaskCard, parse_card
from uae_bench.task.readers import READERS
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


def task_of(passages: Mapping[str, str], queries: Mapping[str, str | None], split: str = "test") -> Task:
    """A task of passages (id -> document) and queries of one split (id -> document)."""
    raw = RawTask()
    for identity, document in passages.items():
        raw.add_passage(Passage(identity, f"text of {identity}", "", document), identity)
    for identity, asked_about in queries.items():
        raw.add_query(Query(identity, f"what of {identity}?", asked_about), identity, split)
    return assembled(card_of(), raw)


def read(reader: str, files: Mapping[str, Path], **options: Any) -> RawTask:
    """What a reader makes of files, given by role."""
    chosen = READERS[reader]
    return chosen.read(files, chosen.options.model_validate(options))


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_jsonl(path: Path, rows: Sequence[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def squad(*paragraphs: Mapping[str, Any]) -> dict[str, Any]:
    """A file in SQuAD layout, one article per paragraph."""
    return {"data": [{"paragraphs": [paragraph]} for paragraph in paragraphs]}


def question(identity: str, *answers: tuple[str, int], **more: Any) -> dict[str, Any]:
    """A question of a SQuAD paragraph with its (text, offset) answers."""
    given = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": identity, "question": f"what is {identity}?", "answers": given, **more}
