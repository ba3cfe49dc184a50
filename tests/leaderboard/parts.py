"""Result folders as `run` writes them, from values that a test chooses."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uae_bench import result, runs
from uae_bench.records import AnswerKind, Value
from uae_bench.result import (
    GROUPS,
    MANIFEST,
    MEASURED,
    RECORD,
    ArtifactRef,
    PerQuery,
    QueryGroups,
    ResultRecord,
)
from uae_bench.significance import effective_clusters
from uae_bench.store import file_digest
from uae_bench.summary import summary

VALUES = "values.parquet"
ENOUGH = 24
"""Documents: above the least number that may be told apart."""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write_result(
    folder: Path,
    values: Mapping[str, Sequence[float]],
    *,
    documents: Sequence[str] | None = None,
    kinds: Sequence[AnswerKind] | None = None,
    measured: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Path:
    """A whole result folder. `values` holds each measure's values of the queries q00, q01 …, nan being undefined;
    each query is in a document of its own unless `documents` says otherwise. `fields` go into the record."""
    folder.mkdir(parents=True)
    queries = [f"q{index:02}" for index in range(len(next(iter(values.values()))))]
    names = [f"document {name}" for name in (documents or queries)]
    groups = QueryGroups(
        documents=dict(zip(queries, names, strict=True)), kinds=dict(zip(queries, kinds or [], strict=bool(kinds)))
    )
    found = [
        Value(query, measure, float(number), "nothing is relevant" if math.isnan(number) else "")
        for measure, numbers in values.items()
        for query, number in zip(queries, numbers, strict=True)
    ]
    runs.write_values(found, folder / VALUES)
    (folder / GROUPS).write_text(result.to_json(groups), encoding="utf-8")
    (folder / RECORD).write_text(result.to_json(_record(folder, found, groups, fields)), encoding="utf-8")
    (folder / MEASURED).write_text(json.dumps({**MEASURED_HERE, **(measured or {})}), encoding="utf-8")
    sign(folder)
    return folder


def sign(folder: Path) -> None:
    """Write the manifest of what the folder holds now."""
    files = (RECORD, GROUPS, VALUES)
    (folder / MANIFEST).write_text(json.dumps({name: file_digest(folder / name) for name in files}), encoding="utf-8")


def _record(folder: Path, values: Sequence[Value], groups: QueryGroups, fields: Mapping[str, Any]) -> ResultRecord:
    documents = groups.documents
    key = digest(f"{fields}")
    defaults: dict[str, Any] = {
        "uae_bench": "0.1.0",
        "task": "toy",
        "task_digest": digest("toy, version 1"),
        "split": "test",
        "partial": False,
        "pool": "document",
        "pool_digest": digest("pools"),
        "system": "bm25",
        "kind": "system",
        "seed": 0,
        "train_task": None,
        "depth": 10,
        "context_size": 1,
        "definition": "log-ratio",
        "queries": len(documents),
        "documents": len(set(documents.values())),
        "effective_documents": effective_clusters(documents.values()),
        "settings": {},
        "models": {},
        "prompts": {},
        "measures": tuple(summary(values, documents, groups.kinds)),
        "per_query": PerQuery(file=VALUES, digest=file_digest(folder / VALUES)),
        "groups": PerQuery(file=GROUPS, digest=file_digest(folder / GROUPS)),
        "artifacts": {"evaluate": ArtifactRef(stage="evaluate", key=key, digest=digest("values"))},
        "costs": {},
        "notes": (),
    }
    return ResultRecord(**{**defaults, **fields})


LATENCY = {"p50": 0.002, "p95": 0.003, "p99": 0.004, "n": 64}
MEASURED_HERE: Mapping[str, Any] = {
    "command": "uae-bench run --task toy --retriever bm25",
    "device": "cpu",
    "host": {"machine": "x86_64", "processor": "Some CPU", "cores": 2, "system": "Linux-6"},
    "packages": {"numpy": "2.0"},
    "peak_memory_bytes": 1000,
    "python": "3.11.7",
    "stages": {"run": {"seconds": 1.5}},
    "latency": {"encode": LATENCY, "search": LATENCY, "total": LATENCY},
}
