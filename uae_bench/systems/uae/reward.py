"""The reward model R_ψ(q,d): a cross-encoder that never sees the answer, trained on pairs of candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from sentence_transformers import CrossEncoder, CrossEncoderTrainingArguments
from torch import Tensor, nn

from uae_bench.progress import Progress
from uae_bench.systems.fitting import History, KeepBest, KeepLast, Schedule, fit
from uae_bench.systems.pairs import Groups, Pairs, PairTrainer, in_groups
from uae_bench.systems.tensors import Features
from uae_bench.systems.uae.config import RewardOptions
from uae_bench.systems.uae.data import Labelled, Scores
from uae_bench.systems.uae.lora import inject
from uae_bench.systems.uae.loss import pairwise_margin


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
        rewards = in_groups(self.model(features[0])["scores"], members)
        return pairwise_margin(rewards, labels["values"], members, self.margin, self.min_gap)


def open_reward_model(folder: Path, options: RewardOptions, device: str) -> CrossEncoder:
    """A cross-encoder with a fresh scalar head on the transformer in `folder`."""
    model: CrossEncoder = CrossEncoder(
        str(folder), num_labels=1, device=device, local_files_only=True, trust_remote_code=False,
        activation_fn=nn.Identity(), model_kwargs={"dtype": torch.float32, "use_safetensors": True},
    )  # fmt: skip
    if options.reward_mode == "lora":
        inject(model.model, options)
    return model


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
    items = [(item.query.id, {p: utilities[item.query.id][p] for p in item.candidates}) for item in (*train, *dev)]
    return fit(
        PairTrainer, CrossEncoderTrainingArguments, schedule,
        KeepLast() if options.reward_keep == "last" else
        KeepBest("eval_loss", higher_is_better=False, patience=options.reward_patience),
        model=model, rows=len(train), seed=seed, progress=progress, label="reward model",
        train_dataset=Dataset.from_dict({"item": list(range(len(train)))}),
        eval_dataset=Dataset.from_dict({"item": list(range(len(train), len(items)))}),
        loss=MarginLoss(model, options.reward_margin, options.reward_min_gap),
        data_collator=Groups(pairs, items, len(train), options.reward_group, np.random.default_rng(seed)),
    )  # fmt: skip


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
