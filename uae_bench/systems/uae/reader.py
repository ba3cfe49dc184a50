"""A reward model for machines without a GPU: soft alignment of token states of the frozen encoder.

It is the decomposable attention model (Parikh et al. 2016, arXiv 1606.01933): each query token looks for its
counterpart in the passage, the two are compared, the comparisons are summed. Query and passage are read together, as
by any cross-encoder, but the encoder's part of the work is done once per text and not once per pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from uae_bench.progress import Progress
from uae_bench.systems.uae.tensors import Features, Inputs, by_length

SHARPNESS = 8.0  # of the first alignments: unit states whose cosines differ by a few tenths then tell tokens apart
REACH = 20.0  # R per unit of the texts' bilinear similarity and of its learnt weight, which starts at 0


class Reader(nn.Module):
    """R(q,d) = w · Σ_i g_i c_i + m q̄ᵀMd̄: comparison c_i of query token i with its counterpart, its share g_i learnt
    from itself, and a bilinear similarity of the texts' mean states, which learns paraphrase from little data.

    Projections start as identities: the first alignments and similarities are the encoder's own. w and m start at 0,
    so that R starts at 0 everywhere and nothing passes the gate before something has been learnt.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.sharpness = nn.Parameter(torch.tensor(SHARPNESS))
        self.share = nn.Linear(width, 1)
        self.compare = nn.Sequential(nn.Linear(4 * width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU())
        self.score = nn.Linear(hidden, 1)
        self.whole = nn.Linear(width, width, bias=False)
        self.match = nn.Parameter(torch.tensor(0.0))
        for projection in (self.query, self.key, self.whole):
            nn.init.eye_(projection.weight)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, features: Features) -> Features:
        """States (N, Lq, D) and (N, Ld, D) with their members (N, L) -> `scores` (N,)."""
        queries, passages = features["query_states"], features["passage_states"]
        asked, there = features["query_members"], features["passage_members"]
        similarity = torch.einsum("nqd,npd->nqp", self.query(queries), self.key(passages)) * self.sharpness
        weights = similarity.masked_fill(~there.unsqueeze(1), torch.finfo(similarity.dtype).min).softmax(dim=2)
        found = weights @ passages  # (N, Lq, D): each query token's counterpart
        compared = self.compare(torch.cat([queries, found, queries * found, queries - found], dim=2))
        shares = self.share(queries).masked_fill(~asked.unsqueeze(2), torch.finfo(similarity.dtype).min).softmax(dim=1)
        aligned = self.score((shares * compared).sum(dim=1)).squeeze(1)
        texts = nn.functional.cosine_similarity(self.whole(queries.sum(dim=1)), passages.sum(dim=1))
        return {**features, "scores": aligned + REACH * self.match * texts}


@dataclass(frozen=True, slots=True)
class StatePairs:
    """(query, passage) pairs as rows; the states of each text (L, D), float16, are held once."""

    states: Mapping[int, Tensor]
    pairs: Sequence[tuple[int, int]]

    def gather(self, rows: Sequence[int]) -> Features:
        """The rows' states, padded with zeros, and which of them are there."""
        features: Features = {}
        for side, name in enumerate(("query", "passage")):
            states = [self.states[self.pairs[row][side]] for row in rows]
            features[f"{name}_states"] = pad_sequence(states, batch_first=True).float()
            lengths = torch.tensor([len(state) for state in states])
            features[f"{name}_members"] = torch.arange(int(lengths.max())) < lengths.unsqueeze(1)
        return features

    def length(self, row: int) -> int:
        return len(self.states[self.pairs[row][1]])


def open_reader(width: int, hidden: int, device: str) -> CrossEncoder:
    """A fresh reader as the library's cross-encoder, so that the library's trainer trains it."""
    modules: Any = [Reader(width, hidden)]
    model: CrossEncoder = CrossEncoder(modules=modules, device=device, activation_fn=nn.Identity())
    return model


def token_states(model: SentenceTransformer, inputs: Inputs, progress: Progress, batch: int) -> dict[int, Tensor]:
    """The encoder's unit states of every token of every text, (L, D) in float16 on the CPU, by row."""
    states: dict[int, Tensor] = {}
    steps = list(by_length(inputs.rows, [*inputs.query.values(), *inputs.passage.values()], batch))
    with torch.inference_mode():
        for rows in progress.track(steps, total=len(steps), label="token states"):
            features = model({name: value.to(model.device) for name, value in inputs.rows.gather(rows).items()})
            vectors = nn.functional.normalize(features["token_embeddings"], dim=2).half().cpu()
            for row, vector, members in zip(rows, vectors, features["attention_mask"].cpu(), strict=True):
                states[row] = vector[members.bool()].clone()
    return states
