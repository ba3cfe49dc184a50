"""What cross-encoders learn from and are asked about: (query, passage) pairs, tokenised once, in groups by query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sentence_transformers import CrossEncoder, CrossEncoderTrainer
from torch import Tensor

from uae_bench.progress import Progress
from uae_bench.systems.tensors import Rows, by_length, padded, tokenised

SCORING_BATCH = 64

Values = Mapping[str, float]
"""What a trainer learns of the passages of one query, by id."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Every (query id, passage id) of a training set as one row."""

    rows: Rows
    number: Mapping[tuple[str, str], int]


class PairTrainer(CrossEncoderTrainer):
    """The library's trainer without its model card: a product has its own."""

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Adds none: it would run the model on examples from the data."""


@dataclass(slots=True)
class Groups:
    """Collates queries into groups of their candidates: of a train query the best by value and others by lot, of a dev
    query all. `items`, query ids with their values, are `train_count` of train and then those of dev.

    The row decides, not the mode of the model: the trainer fetches a batch before it says that training goes on.
    """

    pairs: Pairs
    items: Sequence[tuple[str, Values]]
    train_count: int
    size: int
    rng: np.random.Generator
    valid_label_columns: tuple[str, ...] = ()
    _ranked: list[list[tuple[int, float]]] = field(init=False)

    def __post_init__(self) -> None:
        """Every query's candidates as (row, value), best first, sorted once for all epochs."""
        self._ranked = [self._by_value(query, values) for query, values in self.items]

    def __call__(self, rows: Sequence[Mapping[str, int]]) -> dict[str, Any]:
        groups = [self._group(row["item"]) for row in rows]
        values, members = padded([[value for _, value in group] for group in groups], torch.float32)
        flat = [pair for group in groups for pair, _ in group]
        return {"pairs": self.pairs.rows.gather(flat), "label": {"values": values, "members": members}}

    def _group(self, item: int) -> list[tuple[int, float]]:
        ranked = self._ranked[item]
        if item >= self.train_count or len(ranked) <= self.size:
            return ranked
        lot = self.rng.choice(len(ranked) - 1, size=self.size - 1, replace=False)
        return [ranked[0], *(ranked[1 + int(position)] for position in sorted(lot))]

    def _by_value(self, query: str, values: Values) -> list[tuple[int, float]]:
        candidates = sorted(values, key=lambda passage: (-values[passage], passage))
        return [(self.pairs.number[query, passage], values[passage]) for passage in candidates]


def in_groups(scores: Tensor, members: Tensor) -> Tensor:
    """A flat batch of scores as rows of one query each, (B, K), 0 where `members` is False."""
    flat = scores.reshape(-1).float()
    return torch.zeros(members.shape, device=flat.device).masked_scatter(members, flat)


def tokenised_pairs(model: CrossEncoder, texts: Mapping[tuple[str, str], tuple[str, str]], max_length: int) -> Pairs:
    """Each (query id, passage id) with its texts, tokenised once for training, selection and scoring."""
    length = min(max_length, model.max_seq_length or max_length)
    queries, passages = zip(*texts.values(), strict=True)
    rows = tokenised(model.tokenizer, queries, passages, length)
    return Pairs(rows, {key: number for number, key in enumerate(texts)})


def pair_scores(
    model: CrossEncoder, pairs: Pairs, wanted: Sequence[tuple[str, str]], progress: Progress, label: str
) -> dict[str, dict[str, float]]:
    """What the model scores the wanted (query id, passage id) in one pass, rows of like length together."""
    scores: dict[str, dict[str, float]] = {query: {} for query, _ in wanted}
    keys = {pairs.number[key]: key for key in wanted}
    steps = list(by_length(pairs.rows, list(keys), SCORING_BATCH))
    with torch.inference_mode():
        for rows in progress.track(steps, total=len(steps), label=label):
            features = {name: value.to(model.device) for name, value in pairs.rows.gather(rows).items()}
            for row, score in zip(rows, model(features)["scores"].reshape(-1).tolist(), strict=True):
                query, passage = keys[row]
                scores[query][passage] = score
    return scores
