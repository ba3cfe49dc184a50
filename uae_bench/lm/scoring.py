"""How encoded pairs become batches, and a batch likelihoods or states: shared prefixes once, rests by length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from uae_bench.lm.base import EncodedPair, Tokens
from uae_bench.lm.forward import Prefixes, contrast_rows, read_prefixes, row_states, score_rows
from uae_bench.lm.planned import groups_of
from uae_bench.lm.sharing import Group, pack

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


Found = TypeVar("Found")
Look = Callable[[Sequence[_Rest], Prefixes | None], list[Found]]
"""What is wanted of rests that follow their prefixes, one for each: its likelihood, or its last state."""


@torch.inference_mode()
def score_encoded(model: Any, encoded: Sequence[EncodedPair]) -> list[float]:
    """Summed log-probabilities in nats, in the order of the pairs."""

    def score(rests: Sequence[_Rest], prefixes: Prefixes | None) -> list[float]:
        return score_rows(model, [rest.tokens for rest in rests], [rest.start for rest in rests], prefixes)

    return _read(model, encoded, score)


@torch.inference_mode()
def states_encoded(model: Any, encoded: Sequence[EncodedPair]) -> list[npt.NDArray[np.float32]]:
    """The last hidden state (D,) of each, in order."""

    def state(rests: Sequence[_Rest], prefixes: Prefixes | None) -> list[npt.NDArray[np.float32]]:
        return row_states(model, [rest.tokens for rest in rests], prefixes)

    return _read(model, encoded, state)


@torch.inference_mode()
def contrast_encoded(
    model: Any, given: Sequence[EncodedPair], closed: Sequence[EncodedPair], alpha: float
) -> list[float]:
    """Summed log-probabilities in nats, in the order of the pairs, each `given` against its `closed` (`aligned`)."""
    share = _logit_cells(model)
    beside = [len(pair.ids) + round(pair.scored * share) for pair in closed]

    def contrast(rests: Sequence[_Rest], prefixes: Prefixes | None) -> list[float]:
        without = {closed[rest.index].ids.tobytes(): closed[rest.index].ids for rest in rests}
        place = {key: number for number, key in enumerate(without)}
        return contrast_rows(
            model,
            [rest.tokens for rest in rests],
            [rest.start for rest in rests],
            prefixes,
            list(without.values()),
            [place[closed[rest.index].ids.tobytes()] for rest in rests],
            alpha,
        )

    return _read(model, given, contrast, beside)


def _read(
    model: Any, encoded: Sequence[EncodedPair], look: Look[Found], beside: Sequence[int] | None = None
) -> list[Found]:
    """What `look` finds in each, in order: shared prefixes are read once, then the rests in passes of one width.

    `beside` says how many cells more each takes in a pass.
    """
    groups = groups_of(encoded)
    shared = [group for group in groups if group.length]
    found: dict[int, Found] = {}
    if shared:
        prefixes = read_prefixes(model, [encoded[group.members[0]].ids[: group.length] for group in shared])
        found.update(_pass(model, _rests(encoded, shared), prefixes, look, beside))
    alone = [group for group in groups if not group.length]
    found.update(_pass(model, _rests(encoded, alone), None, look, beside))
    return [found[index] for index in range(len(encoded))]


def _rests(encoded: Sequence[EncodedPair], groups: Sequence[Group]) -> list[_Rest]:
    """The rests of all members, shortest first."""
    rests = [
        _Rest(index, row, encoded[index].ids[group.length :], encoded[index].start - group.length)
        for row, group in enumerate(groups)
        for index in group.members
    ]
    return sorted(rests, key=lambda rest: len(rest.tokens))


def _logit_cells(model: Any) -> float:
    """How many cells the logits of one scored token count for."""
    return float(model.config.get_text_config(decoder=True).vocab_size) / NUMBERS_PER_CELL


def _pass(
    model: Any, rests: Sequence[_Rest], prefixes: Prefixes | None, look: Look[Found], beside: Sequence[int] | None
) -> Iterator[tuple[int, Found]]:
    width = prefixes.mask.shape[1] if prefixes else 0
    share = _logit_cells(model)
    cells = [
        width
        + len(rest.tokens)
        + round((len(rest.tokens) - rest.start) * share)
        + (beside[rest.index] if beside is not None else 0)
        for rest in rests
    ]
    for span in pack(cells, FORWARD_CELLS, padded=True):
        part = rests[span.start : span.stop]
        repeated = prefixes.rows([rest.prefix for rest in part]) if prefixes else None
        yield from zip((rest.index for rest in part), look(part, repeated), strict=True)
