"""Real corpora as views with their judgements."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ir_measures

from uae_bench.records import Passage, Query, RetrievalView, Run
from uae_bench.task.readers.squad import READER

Qrels = dict[str, dict[str, int]]


def scifact_test(data_folder: Path) -> tuple[RetrievalView, Qrels]:
    """All 5,183 abstracts and the 300 judged claims of the test split."""
    folder = data_folder / "scifact"
    qrels: Qrels = {}
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, passage, grade = line.split("\t")
        qrels.setdefault(query, {})[passage] = int(grade)
    passages = tuple(Passage(d["_id"], d["text"], d["title"], d["_id"]) for d in _lines(folder / "corpus.jsonl"))
    queries = tuple(Query(q["_id"], q["text"], None) for q in _lines(folder / "queries.jsonl") if q["_id"] in qrels)
    return RetrievalView(passages, queries, None), qrels


def covidqa(data_folder: Path) -> tuple[RetrievalView, Mapping[str, frozenset[str]]]:
    """All 1,380 questions, each with the passages of its own paper as pool, and the passages that answers touch."""
    raw = READER.read({"data": data_folder / "covidqa" / "covidqa.json"}, READER.options(words=100))
    of_document: dict[str, list[str]] = {}
    for passage in raw.passages.values():
        of_document.setdefault(passage.document_id, []).append(passage.id)
    queries = tuple(raw.queries.values())
    pools = {query.id: tuple(of_document[str(query.document_id)]) for query in queries}
    evidence = {
        query.id: frozenset(passage for annotation in raw.annotations[query.id] for passage in annotation.evidence)
        for query in queries
    }
    return RetrievalView(tuple(raw.passages.values()), queries, pools), evidence


def ndcg_at_10(run: Run, qrels: Qrels) -> float:
    """By ir_measures, fed depth - rank so that its own tie rule never acts."""
    scored = {
        query: {passage: float(run.depth - rank) for rank, passage in enumerate(ranking.passages)}
        for query, ranking in run.rankings.items()
    }
    measure = ir_measures.nDCG @ 10
    return float(ir_measures.calc_aggregate([measure], qrels, scored)[measure])


def success(run: Run, relevant: Mapping[str, frozenset[str]], cutoff: int) -> float:
    """The share of queries with a relevant passage among the first `cutoff`."""
    hits = [bool(relevant[query] & set(ranking.passages[:cutoff])) for query, ranking in run.rankings.items()]
    return sum(hits) / len(hits)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as stream:
        yield from map(json.loads, stream)
