"""BM25 as Lucene scores it, on bm25s with numba.

    score(q, d) = sum over the terms t of q, repeats counted:  idf(t) * tf / (tf + k1 (1 - b + b |d| / avgdl))
    idf(t) = ln(1 + (N - df + 0.5) / (df + 0.5))

N, df and avgdl come from the whole corpus, also where candidates come from a pool (Kamphuis et al., ECIR 2020:
"Lucene (accurate)"). Lucene's own constant factor k1 + 1 is left out, as in its releases since 8.0.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uae_bench.progress import SILENT, Progress
from uae_bench.records import Query, Ranking, RetrievalView
from uae_bench.retrieval.component import Component, Resources, Retriever, checked_depth, no_models
from uae_bench.retrieval.ranking import Candidates
from uae_bench.retrieval.words import LexicalSettings, Words

if TYPE_CHECKING:
    import bm25s

Terms = list[int]
# bm25s compiles its search of many queries at once in each process anew, for seconds; below about so many scores
# (queries x passages) it is quicker to score query by query.
WORTH_COMPILING = 100_000_000


class Bm25(Retriever):
    """BM25 with one setting of its constants."""

    def __init__(self, name: str, settings: LexicalSettings, progress: Progress = SILENT) -> None:
        self.name = name
        self.settings = settings
        self._progress = progress

    def prepare(self, view: RetrievalView) -> Bm25Searcher:
        """Tokenise and index the whole corpus."""
        import bm25s

        logging.getLogger("bm25s").setLevel(logging.WARNING)  # on import it asks for every detail
        candidates = Candidates.of(view)
        words = Words(self.settings)
        vocabulary: dict[str, int] = {}
        texts = self._progress.track(candidates.texts, total=len(candidates.texts), label=f"{self.name}: index")
        terms = [[vocabulary.setdefault(word, len(vocabulary)) for word in words(text)] for text in texts]
        engine = bm25s.BM25(k1=self.settings.k1, b=self.settings.b, method="lucene", backend="numba")
        if vocabulary:
            engine.index((terms, vocabulary), create_empty_token=False, show_progress=False)
        return Bm25Searcher(candidates, words, vocabulary, engine, self._progress)


class Bm25Searcher:
    """An indexed corpus. Encoded queries are lists of term numbers; terms that the corpus lacks score nothing."""

    def __init__(
        self,
        candidates: Candidates,
        words: Words,
        vocabulary: Mapping[str, int],
        engine: bm25s.BM25,
        progress: Progress,
    ) -> None:
        self._candidates = candidates
        self._words = words
        self._vocabulary = vocabulary
        self._engine = engine
        self._progress = progress

    def encode(self, queries: Sequence[Query]) -> list[Terms]:
        known = self._vocabulary
        return [[known[word] for word in self._words(query.text) if word in known] for query in queries]

    def search(self, queries: Sequence[Query], encoded: Sequence[Terms], *, depth: int) -> dict[str, Ranking]:
        checked_depth(depth)
        pairs = list(zip(queries, encoded, strict=True))
        at_once = self._candidates.pools is None and len(pairs) * len(self._candidates.ids) >= WORTH_COMPILING
        rankings = self._search_at_once([pair for pair in pairs if pair[1]], depth) if at_once else {}
        # one query alone is being timed
        told = self._progress.track(pairs, total=len(pairs), label="bm25: search") if len(pairs) > 1 else pairs
        return {
            query.id: rankings[query.id] if query.id in rankings else self._search_one(query, terms, depth)
            for query, terms in told
        }

    def facts(self, encoded: Sequence[Terms], *, depth: int) -> Mapping[str, float]:
        """`queries_without_terms` share no term with the corpus: all their scores are 0 and passage ids order them."""
        return {"queries_without_terms": sum(not terms for terms in encoded)}

    def _search_at_once(self, pairs: Sequence[tuple[Query, Terms]], depth: int) -> dict[str, Ranking]:
        """Rankings of the queries whose cut at `depth` falls between two different scores; ties need all scores."""
        if not pairs:
            return {}
        width = min(depth + 1, len(self._candidates.ids))
        rows, scores = self._engine.retrieve([terms for _, terms in pairs], k=width, show_progress=False, n_threads=1)
        order = np.lexsort((rows, -scores))
        rows = np.take_along_axis(rows, order, axis=1)
        scores = np.take_along_axis(scores, order, axis=1)
        clear = scores[:, depth - 1] > scores[:, depth] if width > depth else np.ones(len(pairs), dtype=bool)
        return {
            query.id: self._candidates.ranking(best, its_scores)
            for (query, _), best, its_scores, is_clear in zip(
                pairs, rows[:, :depth], scores[:, :depth], clear.tolist(), strict=True
            )
            if is_clear
        }

    def _search_one(self, query: Query, terms: Terms, depth: int) -> Ranking:
        scores = self._scores(terms)
        pools = self._candidates.pools
        return self._candidates.best(query, scores if pools is None else scores[pools[query.id]], depth)

    def _scores(self, terms: Terms) -> NDArray[np.float32]:
        if not terms:
            return np.zeros(len(self._candidates.ids), dtype=np.float32)
        scores: NDArray[np.float32] = self._engine.get_scores_from_ids(terms)
        return scores


def _build(argument: str, settings: LexicalSettings, resources: Resources) -> Bm25:
    return Bm25("bm25", settings, resources.progress)


BM25 = Component(shapes=("Q->R",), config=LexicalSettings, build=_build, identity=no_models, version=1)
