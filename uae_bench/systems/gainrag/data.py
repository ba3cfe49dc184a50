"""From contrastive likelihoods to gains, and from a training set to the queries that can be learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from uae_bench.errors import NotPossible
from uae_bench.records import Likelihood, Query, TrainingSet


@dataclass(frozen=True, slots=True)
class Candidates:
    """A query with the gain of each of its candidates, in order of the run."""

    query: Query
    gains: Mapping[str, float]


def gain(answers: Sequence[Likelihood]) -> float:
    """(2, 3) −log(PPL + 1) of the reference that is likeliest with the passage, PPL = exp(−mean log-probability).

    At most −log 2, where the answer is certain. The teacher's softmax over it gives shares like 1 / (PPL + 1).
    """
    return -float(np.logaddexp(0.0, min(-answer.mean for answer in answers)))


def learnable(queries: Sequence[Query], data: TrainingSet, candidates: int) -> list[Candidates]:
    """The queries with contrastive likelihoods, each with the first so many of its run; those with less than two are
    left out.

    Raises:
        NotPossible: the training set holds no contrastive likelihoods.
    """
    if data.contrasts is None:
        raise NotPossible(
            "the training set holds no contrastive likelihoods for the selector to learn",
            hint="uae_bench.pipeline.contrast gives them",
        )
    found = []
    for query in queries:
        contrasts = data.contrasts.get(query.id, {})
        ranking = data.candidates.rankings.get(query.id)
        labelled = [passage for passage in ranking.passages if passage in contrasts] if ranking else []
        if len(labelled) > 1:
            found.append(Candidates(query, {passage: gain(contrasts[passage]) for passage in labelled[:candidates]}))
    return found
