"""Rows that were made elsewhere: a TREC run, or vectors of queries and passages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from uae_bench.records import RetrievalView, Run
from uae_bench.runs import read_trec
from uae_bench.task.task import Task


class Imported(Protocol):
    """A row's name, the files that it comes from, and how they become a run."""

    @property
    def name(self) -> str: ...

    @property
    def files(self) -> dict[str, Path]: ...

    def read(self, view: RetrievalView, task: Task, depth: int) -> Run:
        """The run over the view's queries.

        Raises:
            BadInput: the files do not fit the task; line or id are named.
        """
        ...


@dataclass(frozen=True, slots=True)
class ImportedRun:
    """A run file in TREC format. Lines of queries outside the split are passed over."""

    name: str
    path: Path

    @property
    def files(self) -> dict[str, Path]:
        return {"run file": self.path}

    def read(self, view: RetrievalView, task: Task, depth: int) -> Run:
        wanted = {query.id for query in view.queries}
        return read_trec(
            self.path,
            system=self.name,
            depth=depth,
            queries=wanted,
            passages=task.passages,
            pools=view.pools,
            ignored=task.queries.keys() - wanted,
        )


@dataclass(frozen=True, slots=True)
class ImportedVectors:
    """Vectors of queries and passages; ids in the files, or one per line in files of their own."""

    name: str
    queries: Path
    passages: Path
    query_ids: Path | None = None
    passage_ids: Path | None = None

    @property
    def files(self) -> dict[str, Path]:
        given = {
            "query vectors": self.queries,
            "passage vectors": self.passages,
            "query ids": self.query_ids,
            "passage ids": self.passage_ids,
        }
        return {role: path for role, path in given.items() if path is not None}

    def read(self, view: RetrievalView, task: Task, depth: int) -> Run:
        from uae_bench.retrieval.vectors import rank_vectors, read_vectors

        queries = read_vectors(self.queries, self.query_ids)
        passages = read_vectors(self.passages, self.passage_ids)
        return rank_vectors(view, queries, passages, depth=depth, system=self.name)
