"""BM25 as the package rank-bm25 computes it (`BM25Okapi`), for comparison with results made with that package.

Its idf is ln((N - df + 0.5) / (df + 0.5)), raised to `epsilon` times the mean idf where that is negative, its term
weight carries the factor k1 + 1, and its constants are 1.5 and 0.75. Tokenisation is the one of `bm25`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from uae_bench.progress import SILENT, Progress
from uae_bench.records import Query, Ranking, RetrievalView
from uae_bench.retrieval.component import Component, Resources, Retriever, no_models
from uae_bench.retrieval.ranking import Candidates
from uae_bench.retrieval.words import LexicalSettings, Words

if TYPE_CHECKING:
    from rank_bm25 import BM25Okapi


class OkapiSettings(LexicalSettings):
    """Constants with rank-bm25's own defaults."""

    k1: float = Field(default=1.5, ge=0, description="how long repeats of a term go on counting")
    epsilon: float = Field(default=0.25, ge=0, description="negative idf become this share of the mean idf")


@dataclass(frozen=True, slots=True)
class Okapi(Retriever):
    """rank-bm25 with one setting of its constants."""

    name: str
    settings: OkapiSettings
    progress: Progress = SILENT

    def prepare(self, view: RetrievalView) -> OkapiSearcher:
        """Tokenise and index the whole corpus."""
        from rank_bm25 import BM25Okapi

        candidates, words, settings = Candidates.of(view), Words(self.settings), self.settings
        texts = self.progress.track(candidates.texts, total=len(candidates.texts), label=f"{self.name}: index")
        terms = [words(text) for text in texts]
        engine = BM25Okapi(terms, k1=settings.k1, b=settings.b, epsilon=settings.epsilon) if any(terms) else None
        return OkapiSearcher(candidates, words, engine, self.progress)


@dataclass(frozen=True, slots=True)
class OkapiSearcher:
    """An indexed corpus; without an engine where no passage has a term."""

    candidates: Candidates
    words: Words
    engine: BM25Okapi | None
    progress: Progress

    def encode(self, queries: Sequence[Query]) -> list[list[str]]:
        return [self.words(query.text) for query in queries]

    def search(self, queries: Sequence[Query], encoded: Sequence[list[str]], *, depth: int) -> dict[str, Ranking]:
        pairs = list(zip(queries, encoded, strict=True))
        # one query alone is being timed
        told = self.progress.track(pairs, total=len(pairs), label="bm25-okapi: search") if len(pairs) > 1 else pairs
        return {query.id: self.candidates.best(query, self._scores(query, terms), depth) for query, terms in told}

    def facts(self, encoded: Sequence[list[str]], *, depth: int) -> Mapping[str, float]:
        """`queries_without_terms` have no word left after stop words: all their scores are 0."""
        return {"queries_without_terms": sum(not terms for terms in encoded)}

    def _scores(self, query: Query, terms: list[str]) -> NDArray[np.float64]:
        pools = self.candidates.pools
        rows = None if pools is None else pools[query.id].tolist()
        if self.engine is None or not terms:
            return np.zeros(len(self.candidates.ids) if rows is None else len(rows))
        return np.asarray(self.engine.get_scores(terms) if rows is None else self.engine.get_batch_scores(terms, rows))


def _build(argument: str, settings: OkapiSettings, resources: Resources) -> Okapi:
    return Okapi("bm25-okapi", settings, resources.progress)


BM25_OKAPI = Component(shapes=("Q->R",), config=OkapiSettings, build=_build, identity=no_models, version=1)
