"""The reward model R_ψ(q,d): a cross-encoder that never sees the answer, trained on pairs of candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from sentence_transformers import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments
from torch import Tensor, nn

from uae_bench.progress import Progress
from uae_bench.systems.uae.config import RewardOptions
from uae_bench.systems.uae.data import Labelled, Scores
from uae_bench.systems.uae.fitting import History, KeepBest, KeepLast, Schedule, fit
from uae_bench.systems.uae.lora import inject
from uae_bench.systems.uae.loss import pairwise_margin
from uae_bench.systems.uae.tensors import Features, Rows, by_length, padded, tokenised

SCORING_BATCH = 64


@dataclass(frozen=True, slots=True)
class Pairs:
    """Every (query, candidate) of the training set as one row."""

    rows: Rows
    number: Mapping[tuple[str, str], int]


class MarginLoss(nn.Module):
    """`pairwise_margin` of a cross-encoder's scores, as its trainer calls it."""

    def __init__(self, model: CrossEncoder, margin: float, min_gap: float) -> None:
        super().__init__()
        self.model = model
        self.margin = margin
        self.min_gap = min_gap

    def forward(self, features: list[Features], labels: Mapping[str, Tensor], **_: object) -> Tensor:
        """One flat batch of pairs, laid out in rows of one query each by `labels`."""
        members = labels["members"]
        flat = self.model(features[0])["scores"].reshape(-1).float()
        rewards = torch.zeros(members.shape, device=flat.device).masked_scatter(members, flat)
        return pairwise_margin(rewards, labels["utilities"], members, self.margin, self.min_gap)


class RewardTrainer(CrossEncoderTrainer):
    """The library's trainer without its model card: the reward model is not kept."""

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Adds none: it would run the model on examples from the data."""


@dataclass(slots=True)
class Groups:
    """Collates queries into groups of their candidates: of a train query the best by utility and others by lot, of a
    dev query all. `items` holds `train_count` train queries, then the dev queries.

    The row decides, not the mode of the model: the trainer fetches a batch before it says that training goes on.
    """

    pairs: Pairs
    items: Sequence[Labelled]
    train_count: int
    utilities: Scores
    size: int
    rng: np.random.Generator
    valid_label_columns: tuple[str, ...] = ()
    _ranked: list[list[tuple[int, float]]] = field(init=False)

    def __post_init__(self) -> None:
        """Every query's candidates as (row, utility), best first, sorted once for all epochs."""
        self._ranked = [self._by_utility(item) for item in self.items]

    def __call__(self, rows: Sequence[Mapping[str, int]]) -> dict[str, Any]:
        groups = [self._group(row["item"]) for row in rows]
        utilities, members = padded([[u for _, u in group] for group in groups], torch.float32)
        flat = [pair for group in groups for pair, _ in group]
        return {"pairs": self.pairs.rows.gather(flat), "label": {"utilities": utilities, "members": members}}

    def _group(self, item: int) -> list[tuple[int, float]]:
        ranked = self._ranked[item]
        if item >= self.train_count or len(ranked) <= self.size:
            return ranked
        lot = self.rng.choice(len(ranked) - 1, size=self.size - 1, replace=False)
        return [ranked[0], *(ranked[1 + int(position)] for position in sorted(lot))]

    def _by_utility(self, item: Labelled) -> list[tuple[int, float]]:
        utilities = self.utilities[item.query.id]
        candidates = sorted(item.candidates, key=lambda passage: (-utilities[passage], passage))
        return [(self.pairs.number[item.query.id, passage], utilities[passage]) for passage in candidates]


def open_reward_model(folder: Path, options: RewardOptions, device: str) -> CrossEncoder:
    """A cross-encoder with a fresh scalar head on the transformer in `folder`."""
    model: CrossEncoder = CrossEncoder(
        str(folder), num_labels=1, device=device, local_files_only=True, trust_remote_code=False,
        activation_fn=nn.Identity(), model_kwargs={"dtype": torch.float32, "use_safetensors": True},
    )  # fmt: skip
    if options.reward_mode == "lora":
        inject(model.model, options)
    return model


def tokenised_pairs(model: CrossEncoder, texts: Mapping[tuple[str, str], tuple[str, str]], max_length: int) -> Pairs:
    """Each (query id, passage id) with its texts, tokenised once for training, selection and scoring."""
    length = min(max_length, model.max_seq_length or max_length)
    queries, passages = zip(*texts.values(), strict=True)
    rows = tokenised(model.tokenizer, queries, passages, length)
    return Pairs(rows, {key: number for number, key in enumerate(texts)})


def train_reward_model(
    model: CrossEncoder, pairs: Pairs, train: Sequence[Labelled], dev: Sequence[Labelled],
    utilities: Scores, options: RewardOptions, rate: float, seed: int, progress: Progress,
) -> History:  # fmt: skip
    """Fits R by `pairwise_margin`; kept are the weights of least dev loss (over all pairs of each dev query), or with
    `reward_keep` "last" the last."""
    schedule = Schedule(
        batch=options.reward_batch, epochs=options.reward_epochs, evaluations=options.reward_evaluations,
        warmup=options.reward_warmup, weight_decay=options.reward_weight_decay, learning_rate=rate,
        precision=options.precision,
    )  # fmt: skip
    items = [*train, *dev]
    return fit(
        RewardTrainer, CrossEncoderTrainingArguments, schedule,
        KeepLast() if options.reward_keep == "last" else
        KeepBest("eval_loss", higher_is_better=False, patience=options.reward_patience),
        model=model, rows=len(train), seed=seed, progress=progress, label="reward model",
        train_dataset=Dataset.from_dict({"item": list(range(len(train)))}),
        eval_dataset=Dataset.from_dict({"item": list(range(len(train), len(items)))}),
        loss=MarginLoss(model, options.reward_margin, options.reward_min_gap),
        data_collator=Groups(pairs, items, len(train), utilities, options.reward_group, np.random.default_rng(seed)),
    )  # fmt: skip


def reward_scores(
    model: CrossEncoder, pairs: Pairs, wanted: Sequence[tuple[str, str]], progress: Progress
) -> dict[str, dict[str, float]]:
    """R(q,d) of the wanted (query id, passage id) in one pass, rows of like length together."""
    scores: dict[str, dict[str, float]] = {query: {} for query, _ in wanted}
    keys = {pairs.number[key]: key for key in wanted}
    steps = list(by_length(pairs.rows, list(keys), SCORING_BATCH))
    with torch.inference_mode():
        for rows in progress.track(steps, total=len(steps), label="reward scores"):
            features = {name: value.to(model.device) for name, value in pairs.rows.gather(rows).items()}
            for row, score in zip(rows, model(features)["scores"].reshape(-1).tolist(), strict=True):
                query, passage = keys[row]
                scores[query][passage] = score
    return scores


def pairwise_accuracy(scores: Scores, utilities: Scores) -> float:
    """Share of a query's pairs with U_i > U_j that also have R_i > R_j (a tie counts one half), mean over queries.

    nan where no query has an ordered pair.
    """
    shares = []
    for query, of in scores.items():
        reward = np.array(list(of.values()))
        utility = np.array([utilities[query][passage] for passage in of])
        ordered = utility[:, None] > utility[None, :]
        if ordered.any():
            gap = reward[:, None] - reward[None, :]
            shares.append(float(((gap > 0) + 0.5 * (gap == 0))[ordered].mean()))
    return float(np.mean(shares)) if shares else float("nan")


def margin_gain(scores: Scores, utilities: Scores, margin: float, min_gap: float) -> tuple[float, float]:
    """By how much R lowers `pairwise_margin` below δ, the loss of an R that is 0 everywhere; mean over the queries with
    an ordered pair, and its standard error. (0, inf) where fewer than two queries have one.
    """
    gains = []
    for query, of in scores.items():
        reward = torch.tensor([list(of.values())])
        utility = torch.tensor([[utilities[query][passage] for passage in of]])
        if float(utility.max() - utility.min()) > min_gap:
            loss = pairwise_margin(reward, utility, torch.ones_like(reward, dtype=torch.bool), margin, min_gap)
            gains.append(margin - float(loss))
    if len(gains) < 2:
        return 0.0, float("inf")
    return float(np.mean(gains)), float(np.std(gains, ddof=1) / np.sqrt(len(gains)))


def ndcg_at_1(scores: Scores, utilities: Scores) -> float:
    """max(0, U) of the passage that R puts first over the best max(0, U), mean over the queries where something helps.

    Equal scores are decided by passage id. nan where nothing helps anywhere.
    """
    shares = []
    for query, of in scores.items():
        best = max(max(0.0, utilities[query][passage]) for passage in of)
        if best > 0:
            first = min(of, key=lambda passage: (-of[passage], passage))
            shares.append(max(0.0, utilities[query][first]) / best)
    return float(np.mean(shares)) if shares else float("nan")
