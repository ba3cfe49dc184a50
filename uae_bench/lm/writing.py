"""Batched generation: one pass over left-padded prompts, then one token at a time for the rows still unfinished."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import DynamicCache

from uae_bench.lm.base import Generated, Sampling, Tokens, cut_at_stop, nth_seed
from uae_bench.lm.forward import forward, padded


@dataclass(slots=True)
class _Text:
    """A text in the making, with a source of chance of its own: what is drawn does not depend on the batch."""

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
    count: int = 1,
) -> list[list[Generated]]:
    """`count` texts after each of B prompts; `ends` are the ids that end a text.

    Texts that have begun alike are one row of the batch until they part: a prompt is read once for all of its texts.
    """
    seeds = [nth_seed(sampling.seed, count, place) for place in range(count)]
    texts = [_Text(len(prompt), _chance(seed, prompt)) for prompt in prompts for seed in seeds]
    ids, mask = padded(prompts, model.device, left=True)
    cache: Any = DynamicCache(config=model.config)
    rows = [texts[start : start + count] for start in range(0, len(texts), count)]
    while rows:
        last = torch.arange(1, len(rows) + 1, device=ids.device) * ids.shape[1] - 1
        logits = forward(model, ids, mask, cache, last)
        for text, token in zip(chain(*rows), _choose(logits, rows, sampling.temperature), strict=True):
            text.written.append(token)
            text.done = _finished(text, sampling, ends, decode)
        parted = [(at, together) for at, row in enumerate(rows) for together in _parted(row)]
        kept = torch.tensor([at for at, _ in parted], device=ids.device, dtype=torch.long)
        if parted and [at for at, _ in parted] != list(range(len(rows))):
            cache.reorder_cache(kept)
        rows = [together for _, together in parted]
        ids = torch.tensor([[row[0].written[-1]] for row in rows], device=ids.device, dtype=torch.long)
        mask = torch.cat([mask[kept], mask.new_ones(len(rows), 1)], dim=1)
    done = [text.done for text in texts if text.done is not None]
    return [done[start : start + count] for start in range(0, len(done), count)]


def _parted(row: Sequence[_Text]) -> list[list[_Text]]:
    """The unfinished texts of a row by what was written last, in order of first appearance."""
    together: dict[int, list[_Text]] = {}
    for text in row:
        if text.done is None:
            together.setdefault(text.written[-1], []).append(text)
    return [*together.values()]


def _choose(logits: torch.Tensor, rows: Sequence[Sequence[_Text]], temperature: float) -> list[int]:
    """For each text of each row the likeliest token of its logits (B, V), or one drawn from softmax(logits / T)."""
    if temperature == 0:
        likeliest = logits.argmax(dim=1).tolist()
        return [token for row, token in zip(rows, likeliest, strict=True) for _ in row]
    cumulative = (logits.double() / temperature).softmax(dim=1).cumsum(dim=1).cpu().numpy()
    return [_draw(shares, text.chance) for row, shares in zip(rows, cumulative, strict=True) for text in row]


def _draw(cumulative: npt.NDArray[np.float64], chance: np.random.Generator) -> int:
    return int(np.searchsorted(cumulative, chance.random() * cumulative[-1], side="right"))


def _finished(
    making: _Text, sampling: Sampling, ends: Collection[int], decode: Callable[[Sequence[int]], str]
) -> Generated | None:
    """The text, if an end token, a stop text after something written, or the length ends it; else None."""
    ended = making.written[-1] in ends
    text, stopped = cut_at_stop(decode(making.written[:-1] if ended else making.written), sampling.stop)
    if not ended and not stopped and len(making.written) < sampling.max_tokens:
        return None
    return Generated(text, making.prompt_tokens, len(making.written), "stop" if ended or stopped else "length")


def _chance(seed: int, prompt: Tokens) -> np.random.Generator:
    digest = hashlib.sha256(prompt.tobytes()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
