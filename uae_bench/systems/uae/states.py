"""A reward model for machines without a GPU: a small head on the states of a frozen language model.

The model reads passage and question as when it answers and stops where the answer would begin; its last state there
holds what it is about to say, and so whether the passage told it. Each pair is read once, before training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sentence_transformers import CrossEncoder
from torch import Tensor, nn

from uae_bench.lm.base import Reader, fit_passages
from uae_bench.progress import Progress
from uae_bench.prompts import PromptTemplate
from uae_bench.records import Passage
from uae_bench.systems.uae.tensors import Features


class Head(nn.Module):
    """R(q,d) = w · GELU(A s + b) of the standardised state s (D,).

    w starts at 0, so that R starts at 0 everywhere and nothing passes the gate before something has been learnt.
    """

    def __init__(self, mean: Tensor, deviation: Tensor, hidden: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.layers = nn.Sequential(nn.Linear(len(mean), hidden), nn.GELU(), nn.Dropout(dropout))
        self.score = nn.Linear(hidden, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, features: Features) -> Features:
        """`states` (N, D) -> `scores` (N,)."""
        states = (features["states"].float() - self.mean) / self.deviation
        return {**features, "scores": self.score(self.layers(states)).squeeze(1)}


@dataclass(frozen=True, slots=True)
class StateRows:
    """One state per (query, passage) pair: (pairs, D), float16, on the CPU."""

    states: Tensor

    def gather(self, rows: Sequence[int]) -> Features:
        return {"states": self.states[list(rows)]}

    def length(self, row: int) -> int:
        return 1


def read_states(
    model: Reader, template: PromptTemplate, pairs: Sequence[tuple[str, Passage]], progress: Progress
) -> StateRows:
    """The model's state after each (question, passage); a passage too long for its window is cut, as in labelling."""
    prompts = [
        fit_passages(template, query, [passage], "", model.window, model.tokenizer).prompt for query, passage in pairs
    ]
    plan = model.plan_reading(prompts)
    states: dict[int, Tensor] = {}
    for batch in progress.track(plan.batches, total=len(plan.batches), label="states"):
        found = model.read_batch([prompts[index] for index in batch])
        states.update(zip(batch, torch.from_numpy(found.astype(np.float16)), strict=True))
    return StateRows(torch.stack([states[index] for index in range(len(prompts))]))


def open_head(rows: StateRows, hidden: int, dropout: float, device: str) -> CrossEncoder:
    """A fresh head as the library's cross-encoder, so that the library's trainer trains it."""
    states = rows.states.float()
    deviation = states.std(dim=0).clamp(min=1e-6)
    model: CrossEncoder = CrossEncoder(
        modules=[Head(states.mean(dim=0), deviation, hidden, dropout)], device=device, activation_fn=nn.Identity()
    )
    return model
