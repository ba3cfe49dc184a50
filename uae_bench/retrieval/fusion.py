"""Fusion of any systems' runs, written `rrf(bm25,uae)`: what each found of a query is scored anew, together.

reciprocal rank (Cormack et al., SIGIR 2009):  rrf(p) = sum over members m that found p of  1 / (k + rank_m(p))
weighted CombSUM (Fox and Shaw, TREC-2):       combsum(p) = sum over members m of  w_m * normalised score_m(p)

A passage that a member did not find adds nothing to rrf, and to combsum the least score that this member gave.

Passages of equal score in a member's run share, in rrf, the mean of 1 / (k + rank) over the ranks that they occupy: a
run orders them by id, and ids tell nothing. This is ours: the paper has no ties, and here a lexical member gives every
passage that it does not match the same score, 0. Where a run is cut inside a tie, the passages behind the cut are still
those of the last ids.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import fsum
from typing import Annotated, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from uae_bench.errors import BadInput, UsageError
from uae_bench.records import Ranking, Run
from uae_bench.retrieval.component import Component, Resources, Settings, no_models

FLAT = 1e-12  # a spread that is smaller, relative to the scores, is rounding


def _numbers(value: Any) -> Any:
    """`0.3,0.7`, as `--set` gives it, as numbers."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else value


Weights = Annotated[tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...], BeforeValidator(_numbers)]


class FusionSettings(Settings):
    """How deep a fusion looks."""

    depth: int | None = Field(
        default=None,
        ge=1,
        description="passages that each member keeps, at least as many as the system; unset: as many",
    )


class RrfSettings(FusionSettings):
    """Reciprocal rank fusion."""

    k: float = Field(
        default=60, ge=0, allow_inf_nan=False, description="the greater, the less the first ranks stand out"
    )


class CombSumSettings(FusionSettings):
    """Weighted CombSUM of normalised scores."""

    normalisation: Literal["min-max", "z-score"] = Field(
        default="min-max", description="of a member's scores of one query: to 0 ... 1, or to mean 0 and deviation 1"
    )
    weights: Weights = Field(default=(), description="one per member in their order, e.g. 0.3,0.7; unset: all 1")


class FusionRule(Protocol):
    """RR->R: the runs of several systems to one."""

    name: str
    depth: int | None

    def check(self, members: int) -> None:
        """Nothing where so many members can be fused.

        Raises:
            UsageError: the settings are for another number of them.
        """
        return

    @abstractmethod
    def scores(self, rankings: Sequence[Ranking]) -> Mapping[str, float]:
        """A score for each passage that some member found; `rankings` are of one query, one per member."""

    def member_depth(self, depth: int) -> int:
        """How many passages each member keeps where the fusion keeps `depth`.

        Raises:
            UsageError: they are set to be fewer.
        """
        if self.depth is not None and self.depth < depth:
            raise UsageError(
                f"{self.name}.depth = {self.depth} is less than the {depth} passages that the fusion itself keeps",
                hint=f"set at least {depth}, or lower the system's own depth: --depth {self.depth}",
            )
        return self.depth or depth

    def fuse(self, system: str, runs: Sequence[Run], depth: int) -> Run:
        """The best `depth` passages per query of what the members found; equal scores by passage id.

        Raises:
            BadInput: the members did not answer the same queries.
        """
        queries = list(runs[0].rankings)
        for run in runs[1:]:
            if run.rankings.keys() != runs[0].rankings.keys():
                lone = sorted(run.rankings.keys() ^ runs[0].rankings.keys())
                raise BadInput(
                    f"{runs[0].system} and {run.system} answered different queries; one lacks {lone[0]!r}",
                    hint="run both on the same split",
                )
        fused = {query: self.scores([run.rankings[query] for run in runs]) for query in queries}
        return Run(system, depth, {query: Ranking.from_scores(scores, depth) for query, scores in fused.items()})


@dataclass(frozen=True, slots=True)
class ReciprocalRank(FusionRule):
    """rrf: ranks count from 1, and only they matter; equal scores share theirs."""

    name: str
    depth: int | None
    k: float

    def scores(self, rankings: Sequence[Ranking]) -> dict[str, float]:
        parts: dict[str, list[float]] = {}
        for ranking in rankings:
            ranked = enumerate(zip(ranking.passages, ranking.scores, strict=True), start=1)
            for _, tie in groupby(ranked, key=lambda each: each[1][1]):
                tied = [(rank, passage) for rank, (passage, _) in tie]
                share = fsum(1 / (self.k + rank) for rank, _ in tied) / len(tied)
                for _, passage in tied:
                    parts.setdefault(passage, []).append(share)
        return {passage: fsum(terms) for passage, terms in parts.items()}  # exact: members in any order


@dataclass(frozen=True, slots=True)
class CombSum(FusionRule):
    """combsum: scores of one member and query are normalised, then added by weight.

    Where a member gives all passages one score, it says nothing and adds 0.
    """

    name: str
    depth: int | None
    normalisation: Literal["min-max", "z-score"]
    weights: tuple[float, ...]

    def check(self, members: int) -> None:
        if self.weights and (len(self.weights) != members or not any(self.weights)):
            raise UsageError(
                f"{self.name}.weights = {','.join(map(str, self.weights))} does not weigh {members} systems",
                hint="give one weight per system in the parentheses, in their order, not all of them 0",
            )

    def scores(self, rankings: Sequence[Ranking]) -> dict[str, float]:
        weights = self.weights or (1.0,) * len(rankings)
        parts: dict[str, list[float]] = {passage: [] for ranking in rankings for passage in ranking.passages}
        for ranking, weight in zip(rankings, weights, strict=True):
            if not ranking.passages:
                continue
            own = dict(zip(ranking.passages, self._normalised(ranking).tolist(), strict=True))
            least = min(own.values())
            for passage, terms in parts.items():
                terms.append(weight * own.get(passage, least))
        return {passage: fsum(terms) for passage, terms in parts.items()}

    def _normalised(self, ranking: Ranking) -> NDArray[np.float64]:
        scores = np.array(ranking.scores, dtype=np.float64)
        spread = float(np.ptp(scores))
        if spread <= FLAT * float(np.abs(scores).max()):
            return np.zeros(len(scores))
        zero, one = (scores.min(), spread) if self.normalisation == "min-max" else (scores.mean(), scores.std())
        normalised: NDArray[np.float64] = (scores - zero) / one
        return normalised


def _build_rrf(argument: str, settings: RrfSettings, resources: Resources) -> ReciprocalRank:
    return ReciprocalRank("rrf", settings.depth, settings.k)


def _build_combsum(argument: str, settings: CombSumSettings, resources: Resources) -> CombSum:
    return CombSum("combsum", settings.depth, settings.normalisation, settings.weights)


RRF = Component(shapes=("RR->R",), config=RrfSettings, build=_build_rrf, identity=no_models, version=2)
COMBSUM = Component(shapes=("RR->R",), config=CombSumSettings, build=_build_combsum, identity=no_models, version=1)
