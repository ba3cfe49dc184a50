"""One pass of a causal model over padded rows: prefixes read once, logits only where something is scored.

A row is [padding, prefix | rest, padding]. Prefixes are padded on the left, so that prefix and rest touch: attention
masks padding anywhere, but a short convolution would carry padding from between them into the rest.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import DynamicCache

from uae_bench.lm.base import Tokens


@dataclass(frozen=True, slots=True, eq=False)
class Prefixes:
    """What the model remembers of B left-padded prefixes: keys, values and convolution states; `mask` (B, L)."""

    cache: Any
    mask: torch.Tensor

    def rows(self, rows: Sequence[int]) -> Prefixes:
        """A copy with one prefix for each of `rows`, which may repeat."""
        index = torch.tensor(rows, device=self.mask.device)
        cache = copy.deepcopy(self.cache)
        cache.reorder_cache(index)
        return Prefixes(cache, self.mask[index])


def read_prefixes(model: Any, prefixes: Sequence[Tokens]) -> Prefixes:
    """Run the model over B prefixes and keep what a continuation needs of them."""
    ids, mask = padded(prefixes, model.device, left=True)
    cache = DynamicCache(config=model.config)
    forward(model, ids, mask, cache, wanted=torch.empty(0, dtype=torch.long, device=model.device))
    return Prefixes(cache, mask)


def row_states(model: Any, rows: Sequence[Tokens], prefixes: Prefixes | None) -> list[npt.NDArray[np.float32]]:
    """Each row's last hidden state, (D,): what the model has in mind before it says the next token."""
    ids, mask = padded(rows, model.device, left=False)
    last = torch.tensor([len(tokens) - 1 for tokens in rows], device=model.device)
    whole = mask if prefixes is None else torch.cat([prefixes.mask, mask], dim=1)
    decoder = model.get_decoder()
    cache = prefixes.cache if prefixes else None
    states = decoder(**_inputs(decoder, ids, whole, cache)).last_hidden_state  # (B, L, D)
    chosen = states[torch.arange(len(rows), device=model.device), last]
    return list(chosen.float().cpu().numpy())


def score_rows(model: Any, rows: Sequence[Tokens], starts: Sequence[int], prefixes: Prefixes | None) -> list[float]:
    """Summed log-probability (nats, log-softmax in float32) of each row's tokens from its start (at least 1) on."""
    logits, targets = _row_logits(model, rows, starts, prefixes)
    return _summed(logits, targets, [len(tokens) - start for tokens, start in zip(rows, starts, strict=True)])


def contrast_rows(
    model: Any,
    rows: Sequence[Tokens],
    starts: Sequence[int],
    prefixes: Prefixes | None,
    closed: Sequence[Tokens],
    places: Sequence[int],
    alpha: float,
) -> list[float]:
    """As `score_rows`, but under softmax((1 + α) z − α z'), where z' are the logits of the row of `closed` whose place
    stands in `places`, at as many tokens of its end as are scored.
    """
    counts = [len(tokens) - start for tokens, start in zip(rows, starts, strict=True)]
    scored = [0] * len(closed)
    for place, count in zip(places, counts, strict=True):
        scored[place] = max(scored[place], count)
    ends = [len(tokens) - count for tokens, count in zip(closed, scored, strict=True)]
    without, _ = _row_logits(model, closed, ends, None)  # (M, V)
    stops = np.cumsum(scored)
    index = [
        at for place, count in zip(places, counts, strict=True) for at in range(stops[place] - count, stops[place])
    ]
    logits, targets = _row_logits(model, rows, starts, prefixes)  # (N, V)
    logits += alpha * (logits - without[torch.tensor(index, device=without.device)])
    return _summed(logits, targets, counts)


def _row_logits(
    model: Any, rows: Sequence[Tokens], starts: Sequence[int], prefixes: Prefixes | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (N, V) in float32 that predict each row's tokens from its start on, and those tokens (N,), row by row."""
    ids, mask = padded(rows, model.device, left=False)
    width = ids.shape[1]
    before = [row * width + at - 1 for row, tokens in enumerate(rows) for at in range(starts[row], len(tokens))]
    wanted = torch.tensor(before, device=model.device)
    if prefixes is None:
        logits = forward(model, ids, mask, None, wanted)  # (N, V)
    else:
        logits = forward(model, ids, torch.cat([prefixes.mask, mask], dim=1), prefixes.cache, wanted)
    return logits.float(), ids.flatten()[wanted + 1]


def _summed(logits: torch.Tensor, targets: torch.Tensor, counts: Sequence[int]) -> list[float]:
    """Log-probability of the targets under logits (N, V), summed row by row, so many of each."""
    scores = logits.gather(1, targets[:, None]).squeeze(1) - logits.logsumexp(dim=1)  # (N,)
    return [float(part.double().sum()) for part in torch.split(scores, list(counts))]


@torch.inference_mode()
def forward(model: Any, ids: torch.Tensor, mask: torch.Tensor, cache: Any, wanted: torch.Tensor) -> torch.Tensor:
    """Logits (N, V) at the wanted places of the flattened ids (B * L); `mask` (B, past + L); the cache grows."""
    with _only(model, wanted):
        logits: torch.Tensor = model(**_inputs(model, ids, mask, cache)).logits[0]
    return logits


def _inputs(network: Any, ids: torch.Tensor, mask: torch.Tensor, cache: Any) -> dict[str, Any]:
    inputs = {"input_ids": ids, "attention_mask": mask, "past_key_values": cache, "use_cache": cache is not None}
    if "position_ids" in inspect.signature(network.forward).parameters:
        inputs["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    return inputs


def padded(rows: Sequence[Tokens], device: torch.device, *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids (B, L), padded with 0, and their mask (B, L)."""
    width = max(len(row) for row in rows)
    ids = np.zeros((len(rows), width), dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    for at, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        ids[at, place] = row
        mask[at, place] = 1
    return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)


@contextmanager
def _only(model: Any, wanted: torch.Tensor) -> Iterator[None]:
    """Let the output layer see the wanted rows alone: with 128 k tokens to choose from, it is most of the memory.

    As a hook, so that whatever a model does to its logits afterwards (scaling, capping) still happens.
    """

    def gather(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (inputs[0].reshape(-1, inputs[0].shape[-1])[wanted][None],)  # (1, N, D)

    handle = model.get_output_embeddings().register_forward_pre_hook(gather)
    try:
        yield
    finally:
        handle.remove()
