"""Plain JSONL: a folder with `passages.jsonl` and `queries.jsonl`, one JSON object per line.

    passages.jsonl   {"id": "p1", "text": "...", "title": "...", "document_id": "d1"}
    queries.jsonl    {"id": "q1", "text": "...", "document_id": "d1", "split": "test",
                      "answers": ["Paris", {"text": "Yes", "kind": "yes-no", "evidence": ["p1"]}], "evidence": ["p1"]}

`title`, `document_id`, `split`, `answers` and `evidence` may be left out. A passage without `document_id` is a document
of its own. Each answer is one annotator's; one without `evidence` of its own shares the query's. `kind` is extractive,
free-form, yes-no or unanswerable; left out, it is free-form, and unanswerable where the text is `Unanswerable`. Either
every query names its split, or none does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from uae_bench.records import Annotation, Answer, AnswerKind, Passage, Query, plain_answer
from uae_bench.registry import nearest
from uae_bench.task.readers.raw import NoOptions, RawTask, Reader
from uae_bench.task.reading import read_jsonl

_PASSAGE_KEYS = {"id": str, "text": str, "title": str, "document_id": str}
_QUERY_KEYS = {"id": str, "text": str, "document_id": str, "split": str, "answers": list, "evidence": list}
_ANSWER_KEYS = {"text": str, "kind": str, "evidence": list}


def read(files: Mapping[str, Path], options: NoOptions) -> RawTask:
    """Passages, then queries with their answers, evidence and splits."""
    raw = RawTask()
    for where, entry in read_jsonl(files["passages"], raw):
        if _sound(raw, entry, _PASSAGE_KEYS, where):
            identity = entry["id"]
            passage = Passage(identity, entry["text"], entry.get("title", ""), entry.get("document_id", identity))
            raw.add_passage(passage, where)
    for where, entry in read_jsonl(files["queries"], raw):
        if _sound(raw, entry, _QUERY_KEYS, where):
            _add_query(raw, entry, where)
    placed = sum(len(queries) for queries in raw.splits.values())
    if 0 < placed < len(raw.queries):
        what = f"{placed} of {len(raw.queries)} queries name a split"
        raw.problem(str(files["queries"]), what, "give every query a split, or none")
    return raw


READER = Reader(
    read=read,
    layout={
        "passages": ("passages.jsonl", "passages.jsonl.gz"),
        "queries": ("queries.jsonl", "queries.jsonl.gz"),
    },
    needs=("passages", "queries"),
)


def _add_query(raw: RawTask, entry: dict[str, Any], where: str) -> None:
    query = Query(entry["id"], entry["text"].strip(), entry.get("document_id"))
    if not raw.add_query(query, where, entry.get("split")):
        return
    shared = _passages(raw, entry.get("evidence", []), where)
    if shared:
        raw.qrels[query.id] = dict.fromkeys(shared, 1)
    annotations = []
    for answer in entry.get("answers", []):
        answer = {"text": answer} if isinstance(answer, str) else answer
        if not isinstance(answer, dict):
            raw.problem(where, f"the answer {answer!r} is neither a text nor an object", 'write {"text": "..."}')
        elif _sound(raw, answer, _ANSWER_KEYS, where, needed=("text",)):
            annotations.append(_annotation(raw, answer, shared, where))
    if annotations:
        raw.annotations[query.id] = tuple(annotations)
        raw.qrels.setdefault(query.id, {}).update({one: 1 for each in annotations for one in each.evidence})
    elif "answers" in entry:
        raw.problem(where, f"the query {query.id!r} has an empty list of answers", "add one, or leave 'answers' out")


def _annotation(raw: RawTask, answer: dict[str, Any], shared: tuple[str, ...], where: str) -> Annotation:
    text = answer["text"].strip()
    kind: AnswerKind = answer.get("kind", plain_answer(text).kind)
    if kind not in get_args(AnswerKind):
        raw.problem(where, f"unknown answer kind {kind!r}", nearest(kind, get_args(AnswerKind)))
    if not text:
        raw.problem(where, "an answer is empty", "give it text or remove it")
    own = _passages(raw, answer["evidence"], where) if "evidence" in answer else shared
    return Annotation(Answer(text, kind), () if kind == "unanswerable" else own)


def _passages(raw: RawTask, evidence: list[Any], where: str) -> tuple[str, ...]:
    for one in evidence:
        if not isinstance(one, str) or one not in raw.passages:
            raw.problem(
                where, f"no passage has the id {one!r}", "add it to passages.jsonl or remove it from 'evidence'"
            )
    return tuple(dict.fromkeys(str(one) for one in evidence))


def _sound(
    raw: RawTask, entry: dict[str, Any], keys: Mapping[str, type], where: str, needed: tuple[str, ...] = ("id", "text")
) -> bool:
    """Whether an object has the needed keys and only known ones, each of its type; what is wrong becomes a problem."""
    before = len(raw.problems)
    for name in needed:
        if name not in entry:
            raw.problem(where, f"the key '{name}' is missing", "add it")
    for name, value in entry.items():
        if name not in keys:
            raw.problem(where, f"unknown key {name!r}", nearest(name, keys))
        elif not isinstance(value, keys[name]):
            raw.problem(where, f"'{name}' is {value!r}, not of type {keys[name].__name__}", "mend the value")
    return len(raw.problems) == before
