"""Dense retrieval with any bi-encoder: as a first stage over a corpus or pools, and as a reranker of another's run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from uae_bench.encoder import BiEncoder
from uae_bench.encoder_source import encoder_identity
from uae_bench.errors import UsageError
from uae_bench.records import Query, Ranking, RetrievalView
from uae_bench.retrieval.component import Component, Resources, preset
from uae_bench.retrieval.encoding import EncodingRetriever, TextSettings
from uae_bench.retrieval.ranking import Candidates
from uae_bench.retrieval.search import (
    IndexKind,
    VectorIndex,
    build_index,
    nearest_rows,
    rank_pools,
    recall_against_exact,
)

Vectors = NDArray[np.float32]
RECALL_SAMPLE = 100


class DenseSettings(TextSettings):
    """What is not given is as the model's own configuration has it."""

    max_length: int | None = Field(default=None, ge=4, description="tokens of a text that are read; unset: likewise")
    index: IndexKind = Field(default="flat", description="how a corpus is searched; pools are always searched exactly")


class Dense(EncodingRetriever[Vectors]):
    """Ranks by cosine. The encoder loads when the first view is prepared; passages are encoded once per view."""

    def __init__(self, name: str, encoder: str, settings: DenseSettings, resources: Resources) -> None:
        self.name = name
        self.settings = settings
        self._spec = encoder
        self._resources = resources
        super().__init__()

    @cached_property
    def encoder(self) -> BiEncoder:
        """The loaded encoder."""
        settings = self.settings
        return BiEncoder.load(
            self._spec,
            self._resources.device,
            query_prefix=settings.query_prefix,
            passage_prefix=settings.passage_prefix,
            max_length=settings.max_length,
        )

    def prepare(self, view: RetrievalView) -> DenseSearcher:
        """Encode the corpus, or the passages that some pool holds, and index them.

        Raises:
            UsageError: an approximate index is asked for where pools are searched.
        """
        kind = self.settings.index
        if view.pools is not None and kind != "flat":
            raise UsageError(
                f"index={kind} searches a whole corpus, but here every query has its own pool of passages",
                hint="use --pool corpus, or leave the index flat",
            )
        found = Candidates.of(view, pooled_only=True)
        vectors = self._encoded(found.texts)
        index = build_index(vectors, kind) if found.pools is None else None
        return DenseSearcher(found, self.encoder, vectors, index)

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors (C, D)."""
        return self.encoder.encode_passages(texts, self._resources.progress)


@dataclass(frozen=True, slots=True)
class DenseSearcher:
    """Encoded passages, rows in order of id; an index over them where there are no pools."""

    candidates: Candidates
    encoder: BiEncoder
    vectors: Vectors
    index: VectorIndex | None

    def encode(self, queries: Sequence[Query]) -> Vectors:
        """Unit vectors (Q, D)."""
        return self.encoder.encode_queries([query.text for query in queries])

    def search(self, queries: Sequence[Query], encoded: Vectors, *, depth: int) -> dict[str, Ranking]:
        if self.index is not None:
            found = nearest_rows(self.index, encoded, depth)
        else:
            pools = self.candidates.pools or {}
            found = rank_pools(self.vectors, encoded, [pools[query.id] for query in queries], depth)
        return {
            query.id: self.candidates.ranking(rows, scores)
            for query, (rows, scores) in zip(queries, found, strict=True)
        }

    def facts(self, encoded: Vectors, *, depth: int) -> Mapping[str, float]:
        """Passages encoded and truncated; an approximate index's recall at the depth, over at most 100 queries."""
        truncated = self.encoder.truncated_passages(self.candidates.texts)
        facts: dict[str, float] = {"passages": len(self.candidates.ids), "passages_truncated": truncated}
        if self.index is not None and self.index.kind != "flat" and len(encoded):
            facts["index_recall"] = recall_against_exact(self.index, encoded[:RECALL_SAMPLE], depth)
        return facts


def _build(argument: str, settings: DenseSettings, resources: Resources) -> Dense:
    return Dense(f"dense:{argument}", argument, settings, resources)


def _identity(argument: str, settings: DenseSettings) -> Mapping[str, str]:
    own = encoder_identity(argument)
    prefixes = {"query_prefix": settings.query_prefix, "passage_prefix": settings.passage_prefix}
    return {**own, **{key: text for key, text in prefixes.items() if text is not None}}


DENSE = Component(
    shapes=("Q->R", "R->R"),
    config=DenseSettings,
    build=_build,
    identity=_identity,
    version=1,
    argument="a sentence-transformers model",
)
BGE, BGE_M3, E5_MISTRAL, MINILM, NV_EMBED_V2 = (
    preset(DENSE, "dense", name, name) for name in ("bge", "bge-m3", "e5-mistral", "minilm", "nv-embed-v2")
)
