"""Batched generation: one pass over left-padded prompts, then one token at a time for the rows still unfinished."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import DynamicCache

from uae_bench.lm.base import Generated, Sampling, Tokens, cut_at_stop
from uae_bench.lm.forward import forward, padded


@dataclass(slots=True)
class _Row:
    """One text in the making, with a source of chance of its own: what is drawn does not depend on the batch."""

    prompt_tokens: int
    chance: np.random.Generator
    written: list[int] = field(default_factory=list)
    done: Generated | None = None


@torch.inference_mode()
def write(
    model: Any,
    prompts: Sequence[Tokens],
    sampling: Sampling,
    ends: Collection[int],
    decode: Callable[[Sequence[int]], str],
) -> list[Generated]:
    """What the model writes after each of B prompts; `ends` are the ids that end a text."""
    rows = [_Row(len(prompt), _chance(sampling.seed, prompt)) for prompt in prompts]
    ids, mask = padded(prompts, model.device, left=True)
    cache: Any = DynamicCache(config=model.config)
    active = rows
    while active:
        width = ids.shape[1]
        last = torch.arange(1, len(active) + 1, device=ids.device) * width - 1
        chosen = _choose(forward(model, ids, mask, cache, last), active, sampling.temperature)
        for row, token in zip(active, chosen, strict=True):
            row.written.append(token)
            row.done = _finished(row, sampling, ends, decode)
        going = [at for at, row in enumerate(active) if row.done is None]
        kept = torch.tensor(going, device=ids.device, dtype=torch.long)
        if 0 < len(going) < len(active):
            cache.reorder_cache(kept)
        ids = torch.tensor(chosen, device=ids.device)[kept][:, None]
        mask = torch.cat([mask[kept], mask.new_ones(len(going), 1)], dim=1)
        active = [active[at] for at in going]
    return [row.done for row in rows if row.done is not None]


def _choose(logits: torch.Tensor, rows: Sequence[_Row], temperature: float) -> list[int]:
    """The likeliest token of each row of logits (B, V), or one drawn from softmax(logits / temperature)."""
    if temperature == 0:
        return [int(token) for token in logits.argmax(dim=1)]
    cumulative = (logits.double() / temperature).softmax(dim=1).cumsum(dim=1).cpu().numpy()
    return [_draw(shares, row.chance) for shares, row in zip(cumulative, rows, strict=True)]


def _draw(cumulative: npt.NDArray[np.float64], chance: np.random.Generator) -> int:
    return int(np.searchsorted(cumulative, chance.random() * cumulative[-1], side="right"))


def _finished(
    row: _Row, sampling: Sampling, ends: Collection[int], decode: Callable[[Sequence[int]], str]
) -> Generated | None:
    """The text, if an end token, a stop text after something written, or the length ends it; else None."""
    ended = row.written[-1] in ends
    text, stopped = cut_at_stop(decode(row.written[:-1] if ended else row.written), sampling.stop)
    if not ended and not stopped and len(row.written) < sampling.max_tokens:
        return None
    return Generated(text, row.prompt_tokens, len(row.written), "stop" if ended or stopped else "length")


def _chance(seed: int, prompt: Tokens) -> np.random.Generator:
    digest = hashlib.sha256(prompt.tobytes()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
