"""How encoded pairs become batches, and a batch likelihoods: shared prefixes once, rests sorted by length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from uae_bench.lm.base import EncodedPair
from uae_bench.lm.forward import Prefixes, Tokens, read_prefixes, score_rows
from uae_bench.lm.sharing import Group, pack, share_prefixes, sort_key

BATCH_CELLS = 32_768
"""Tokens of a planned batch, a shared prefix counted for every row: seconds of work for a small model on a CPU."""
FORWARD_CELLS = 8_192
"""Tokens of one pass, padding included; bounds the memory."""
NUMBERS_PER_CELL = 8_192
"""A scored token brings a row of logits as wide as the vocabulary; it counts as a cell per so many numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class _Rest:
    """What follows a shared prefix (its row) in the pair at `index`; its tokens are scored from `start` on."""

    index: int
    prefix: int
    tokens: Tokens
    start: int


def plan_batches(encoded: Sequence[EncodedPair]) -> tuple[list[tuple[int, ...]], int]:
    """Batches of indices and the number of tokens that the model will read.

    Groups that share a prefix stay together, unless larger than a batch, and come by length of prefix, then of the
    longest member: what is padded to one width is nearly of one width. Independent of the order of the pairs.
    """
    parts = [
        Group(group.length, group.members[span.start : span.stop])
        for group in groups_of(encoded)
        for span in pack([len(encoded[index].ids) for index in group.members], BATCH_CELLS, padded=False)
    ]
    sizes = {part: [len(encoded[index].ids) for index in part.members] for part in parts}
    parts.sort(key=lambda part: (part.length, max(sizes[part])))
    spans = pack([sum(sizes[part]) for part in parts], BATCH_CELLS, padded=False)
    batches = [tuple(index for part in parts[span.start : span.stop] for index in part.members) for span in spans]
    computed = sum(sum(sizes[part]) - (len(part.members) - 1) * part.length for part in parts)
    return batches, computed


def groups_of(encoded: Sequence[EncodedPair]) -> list[Group]:
    """Pairs that begin alike, up to the last token before the answer: that one predicts the answer's first."""
    order = sorted(range(len(encoded)), key=lambda index: (sort_key(encoded[index].ids), encoded[index].start))
    groups = share_prefixes([encoded[index].ids[: encoded[index].start - 1] for index in order])
    return [Group(group.length, tuple(order[at] for at in group.members)) for group in groups]


@torch.inference_mode()
def score_encoded(model: Any, encoded: Sequence[EncodedPair]) -> list[float]:
    """Summed log-probabilities in nats, in the order of the pairs."""
    groups = groups_of(encoded)
    shared = [group for group in groups if group.length]
    logprobs: dict[int, float] = {}
    if shared:
        prefixes = read_prefixes(model, [encoded[group.members[0]].ids[: group.length] for group in shared])
        logprobs.update(_score(model, _rests(encoded, shared), prefixes))
    alone = [group for group in groups if not group.length]
    logprobs.update(_score(model, _rests(encoded, alone), None))
    return [logprobs[index] for index in range(len(encoded))]


def _rests(encoded: Sequence[EncodedPair], groups: Sequence[Group]) -> list[_Rest]:
    """The rests of all members, shortest first."""
    rests = [
        _Rest(index, row, encoded[index].ids[group.length :], encoded[index].start - group.length)
        for row, group in enumerate(groups)
        for index in group.members
    ]
    return sorted(rests, key=lambda rest: len(rest.tokens))


def _score(model: Any, rests: Sequence[_Rest], prefixes: Prefixes | None) -> Iterator[tuple[int, float]]:
    width = prefixes.mask.shape[1] if prefixes else 0
    share = model.config.get_text_config(decoder=True).vocab_size / NUMBERS_PER_CELL
    cells = [width + len(rest.tokens) + round((len(rest.tokens) - rest.start) * share) for rest in rests]
    for span in pack(cells, FORWARD_CELLS, padded=True):
        part = rests[span.start : span.stop]
        repeated = prefixes.rows([rest.prefix for rest in part]) if prefixes else None
        values = score_rows(model, [rest.tokens for rest in part], [rest.start for rest in part], repeated)
        yield from zip((rest.index for rest in part), values, strict=True)
