"""What the student is to learn: a distribution over each candidate set, by the teacher or by hard labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from uae_bench.systems.tensors import padded
from uae_bench.systems.uae.config import DirectOptions, SoftTeacher, StudentOptions
from uae_bench.systems.uae.data import CandidateSet, Scores
from uae_bench.systems.uae.loss import calibrated_lambda, normalised_entropy, teacher_distribution

Distributions = list[list[float]]
"""One row per candidate set, in the order of its passages; each sums to 1."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """Candidate sets with a distribution over each. `kind` is what the labels are made of; `inverse_temperature` is λ,
    None for hard labels; `entropy` the mean of H/log|B| over the train sets, nan where there is none.
    """

    kind: Literal["reward", "utility", "one-hot", "evidence"]
    train: Sequence[CandidateSet]
    dev: Sequence[CandidateSet]
    train_labels: Distributions
    dev_labels: Distributions
    inverse_temperature: float | None
    entropy: float


def teach(train: Sequence[CandidateSet], dev: Sequence[CandidateSet], options: StudentOptions) -> Lesson:
    """The teacher's distributions, softmax(λ · score); hard labels (`infonce`) are even over d⁺ and what further
    evidence a set holds.

    Raises:
        NotPossible: no λ gives the entropy asked for (`calibrated_lambda`).
    """
    if not isinstance(options, SoftTeacher):
        kind: Literal["evidence", "one-hot"] = "evidence" if options.with_further_evidence else "one-hot"
        labels = hard_labels(train)
        return Lesson(kind, train, dev, labels, hard_labels(dev), None, _entropy(train, labels))
    read: Literal["utility", "reward"] = "utility" if isinstance(options, DirectOptions) else "reward"
    if not train:
        return Lesson(read, train, dev, [], [], None, math.nan)
    scale = (
        calibrated_lambda(*_scores(train), options.teacher_entropy)
        if options.teacher_lambda == "calibrated"
        else options.teacher_lambda
    )
    labels = soft_labels(train, scale)
    return Lesson(read, train, dev, labels, soft_labels(dev, scale), scale, _entropy(train, labels))


def soft_labels(sets: Sequence[CandidateSet], inverse_temperature: float) -> Distributions:
    """(4) π*, λ being the inverse temperature, over each set."""
    if not sets:
        return []
    rows = teacher_distribution(*_scores(sets), inverse_temperature).tolist()
    return [row[: len(candidate_set.passages)] for row, candidate_set in zip(rows, sets, strict=True)]


def hard_labels(sets: Sequence[CandidateSet]) -> Distributions:
    """All of it on d⁺, or even over d⁺ and further evidence where sets hold some."""
    return [
        [1 / each.first_negative] * each.first_negative + [0.0] * (len(each.passages) - each.first_negative)
        for each in sets
    ]


def summary(lesson: Lesson, utilities: Scores) -> dict[str, Any]:
    """What there is to tell about the labels of the train sets: their kind, λ, mean normalised entropy, the shares of
    their mass on d⁺, on further evidence and on negatives; and the mean utility of a passage drawn from them, of d⁺,
    and of a passage drawn uniformly from the set (in the unit of `utilities`). nan without a set.
    """
    mass, utility = [], []
    for candidate_set, row in zip(lesson.train, lesson.train_labels, strict=True):
        label = np.array(row)
        of = np.array([utilities[candidate_set.query][passage] for passage in candidate_set.passages])
        negatives = candidate_set.first_negative
        mass.append((label[0], label[1:negatives].sum(), label[negatives:].sum()))
        utility.append((label @ of, of[0], of.mean()))
    means = [np.mean(rows, axis=0).tolist() if rows else [math.nan] * 3 for rows in (mass, utility)]
    return {
        "kind": lesson.kind, "lambda": lesson.inverse_temperature, "normalised_entropy": lesson.entropy,
        "mass": dict(zip(("positive", "further_evidence", "negatives"), means[0], strict=True)),
        "expected_utility": dict(zip(("teacher", "positive", "uniform"), means[1], strict=True)),
    }  # fmt: skip


def _scores(sets: Sequence[CandidateSet]) -> tuple[Tensor, Tensor]:
    return padded([candidate_set.scores for candidate_set in sets], torch.float64)


def _entropy(sets: Sequence[CandidateSet], labels: Distributions) -> float:
    if not sets:
        return math.nan
    distribution, members = padded(labels, torch.float64)
    return abs(float(normalised_entropy(distribution, members).mean()))  # of hard labels it is −0
