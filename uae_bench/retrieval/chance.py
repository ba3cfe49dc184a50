"""The floor of every board: an order drawn by lot."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from uae_bench.records import Query, Ranking, RetrievalView
from uae_bench.retrieval.component import Component, Resources, Retriever, Settings, no_models
from uae_bench.retrieval.ranking import Candidates


class RandomSettings(Settings):
    """The draw."""

    seed: int = Field(default=0, ge=0, description="another seed, another draw; --seeds sets it")


@dataclass(frozen=True, slots=True)
class Chance(Retriever):
    """Scores uniform in [0, 1), drawn per query id and pool, whatever the order of queries and passages."""

    name: str
    seed: int

    def prepare(self, view: RetrievalView) -> ChanceSearcher:
        return ChanceSearcher(Candidates.of(view), self.seed)


@dataclass(frozen=True, slots=True)
class ChanceSearcher:
    """Draws over one view."""

    candidates: Candidates
    seed: int

    def encode(self, queries: Sequence[Query]) -> list[np.random.Generator]:
        """A generator per query, seeded by its id."""
        return [np.random.default_rng(_seed(self.seed, query.id)) for query in queries]

    def search(
        self, queries: Sequence[Query], encoded: Sequence[np.random.Generator], *, depth: int
    ) -> dict[str, Ranking]:
        return {
            query.id: self.candidates.best(query, rng.random(self.candidates.count(query)), depth)
            for query, rng in zip(queries, encoded, strict=True)
        }

    def facts(self, encoded: Sequence[np.random.Generator], *, depth: int) -> Mapping[str, float]:
        return {}


def _seed(seed: int, query: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}\x00{query}".encode()).digest()[:16])


def _build(argument: str, settings: RandomSettings, resources: Resources) -> Chance:
    return Chance("random", settings.seed)


RANDOM = Component(shapes=("Q->R",), config=RandomSettings, build=_build, identity=no_models, version=1)
