"""A reward model for machines without a GPU: a small head on the states of a frozen language model.

The model has read passage and question as when it answers and stopped where the answer would begin
(`uae_bench.reading`): its state there holds what it is about to say, and so whether the passage told it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sentence_transformers import CrossEncoder
from torch import Tensor, nn

from uae_bench.systems.tensors import Features


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


def open_head(rows: StateRows, hidden: int, dropout: float, device: str) -> CrossEncoder:
    """A fresh head as the library's cross-encoder, so that the library's trainer trains it."""
    deviation, mean = torch.std_mean(rows.states.float(), dim=0)
    head = Head(mean, deviation.clamp(min=1e-6), hidden, dropout)
    model: CrossEncoder = CrossEncoder(modules=[head], device=device, activation_fn=nn.Identity())
    return model
