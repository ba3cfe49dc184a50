"""BEIR folder: `corpus.jsonl`, `queries.jsonl` (`_id`, `title`, `text`, `metadata`) and `qrels/<split>.tsv`.

A passage belongs to `metadata.document_id` where there is one, else it is a document of its own; a query was asked
about `metadata.document_id` or about no document in particular. Qrels are tab-separated `query-id corpus-id score`
with or without that header; `validation` is read as `dev`. No answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uae_bench.records import Passage, Query
from uae_bench.task.readers.raw import NoOptions, RawTask, Reader
from uae_bench.task.reading import read_jsonl, read_lines


def read(files: Mapping[str, Path], options: NoOptions) -> RawTask:
    """A corpus, its queries and a split per qrels file."""
    raw = RawTask()
    for where, entry in read_jsonl(files["corpus"], raw):
        identity, text = _identity(entry), _text(raw, entry, "text", where)
        passage = Passage(identity, text, _text(raw, entry, "title", where), _document(entry) or identity)
        raw.add_passage(passage, where)
    for where, entry in read_jsonl(files["queries"], raw):
        raw.add_query(Query(_identity(entry), _text(raw, entry, "text", where).strip(), _document(entry)), where)
    for role, path in files.items():
        if role.startswith("qrels/"):
            _read_qrels(raw, path, _split_name(role.removeprefix("qrels/")))
    unjudged = len(raw.queries) - len({query for queries in raw.splits.values() for query in queries})
    raw.count("unjudged-queries", unjudged)
    raw.note("unjudged-queries", "queries without a judgement in any qrels file belong to no split")
    return raw


READER = Reader(
    read=read,
    layout={
        "corpus": ("corpus.jsonl", "corpus.jsonl.gz"),
        "queries": ("queries.jsonl", "queries.jsonl.gz"),
        "qrels/*": ("qrels/*.tsv", "*.tsv"),
    },
    needs=("corpus", "queries", "qrels"),
)


def _read_qrels(raw: RawTask, path: Path, split: str) -> None:
    owner = {query: name for name, queries in raw.splits.items() for query in queries}
    mine = raw.splits.setdefault(split, [])
    for where, line in read_lines(path):
        fields = line.split("\t")
        if not line.strip() or fields[0] in ("query-id", "query_id"):
            continue
        judgement = _judgement(raw, fields, where)
        if judgement is None:
            continue
        query, passage, grade = judgement
        if owner.get(query, split) != split:
            raw.problem(where, f"query {query!r} is judged in {owner[query]} and in {split}", "keep one of the two")
        elif query not in owner:
            owner[query] = split
            mine.append(query)
        raw.qrels.setdefault(query, {})[passage] = grade


def _judgement(raw: RawTask, fields: list[str], where: str) -> tuple[str, str, int] | None:
    if len(fields) == 4:  # TREC's columns: query, iteration, passage, grade
        fields = [fields[0], fields[2], fields[3]]
    if len(fields) != 3:
        raw.problem(where, f"{len(fields)} columns", "write query id, passage id and grade, separated by tabs")
        return None
    query, passage, grade = (field.strip() for field in fields)
    if query not in raw.queries:
        raw.problem(where, f"no query has the id {query!r}", "add it to queries.jsonl or remove the judgement")
    elif passage not in raw.passages:
        raw.problem(where, f"no passage has the id {passage!r}", "add it to corpus.jsonl or remove the judgement")
    elif passage in raw.qrels.get(query, {}):
        raw.problem(where, f"query {query!r} judges passage {passage!r} a second time", "keep one grade")
    else:
        try:
            return query, passage, int(grade)
        except ValueError:
            raw.problem(where, f"grade {grade!r} is not an integer", "write 0 for not relevant, 1 or more for relevant")
    return None


def _identity(entry: dict[str, Any]) -> str:
    found = entry.get("_id", entry.get("id"))
    return "" if found is None else str(found)


def _text(raw: RawTask, entry: dict[str, Any], name: str, where: str) -> str:
    value = entry.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raw.problem(where, f"'{name}' is not a text but {value!r}", "write a JSON string")
        return ""
    return value


def _document(entry: dict[str, Any]) -> str | None:
    metadata = entry.get("metadata")
    found = metadata.get("document_id") if isinstance(metadata, dict) else None
    return None if found is None else str(found)


def _split_name(stem: str) -> str:
    return "dev" if stem in ("validation", "valid", "val") else stem
