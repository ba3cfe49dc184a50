"""A task as plain JSONL, so that runs and vectors of its passages can be made elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from uae_bench.store import explained, write_atomically
from uae_bench.task.task import Task

PASSAGES, QUERIES = "passages.jsonl", "queries.jsonl"


def export_task(task: Task, folder: Path) -> tuple[Path, Path]:
    """Writes every passage and query, ids and chunks as runs have them, in the layout of the reader `jsonl`.

    Grades of judgements are not in that layout: a passage is evidence or not.

    Raises:
        StoreError: the folder cannot be written.
    """
    split_of = {query: split.name for split in task.splits.values() for query in split.queries}
    passages = (
        {"id": one.id, "text": one.text, "title": one.title, "document_id": one.document_id}
        for one in task.passages.values()
    )
    queries = (_query(task, query, split_of.get(query, "")) for query in task.queries)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, rows in ((PASSAGES, passages), (QUERIES, queries)):
        write_atomically(folder / name, _lines(rows))
    return folder / PASSAGES, folder / QUERIES


def _query(task: Task, identity: str, split: str) -> dict[str, Any]:
    query = task.queries[identity]
    answers = [
        {"text": one.answer.text, "kind": one.answer.kind, "evidence": list(one.evidence)}
        for one in task.annotations.get(identity, ())
    ]
    told = {
        "id": query.id, "text": query.text, "document_id": query.document_id, "split": split, "answers": answers,
        "evidence": sorted(task.evidence(identity)),
    }  # fmt: skip
    return {name: value for name, value in told.items() if value}


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
