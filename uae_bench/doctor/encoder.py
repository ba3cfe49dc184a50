"""Probes of a bi-encoder: the same vector however a text is encoded, and what is read of it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from uae_bench.doctor import Finding
from uae_bench.doctor.language_model import ASKED, TEXTS
from uae_bench.encoder import BATCH, BiEncoder, Vectors

OVERRUN_TOKENS = 8192
"""The longest text that is overrun: attention in float32 over more takes minutes, or memory that is not there."""
ROUNDING = 1e-5
"""By which a component of a unit vector in float32 may move with its batch."""
_CHANGE = "largest difference of a component"


def probe_encoder(encoder: BiEncoder) -> list[Finding]:
    """Repeat, order, company, length of the vectors, truncation, and what is put before the texts."""
    texts = [*TEXTS, *(query for query, _ in ASKED)]
    company = [f"{text} {number}" for number in range(BATCH) for text in texts]
    first, again = encoder.encode_passages(texts), encoder.encode_passages(texts)
    turned = encoder.encode_passages(texts[::-1])[::-1]
    alone = np.concatenate([encoder.encode_passages([text]) for text in texts])
    crowded = encoder.encode_passages([*texts, *company])[: len(texts)]
    norms = np.linalg.norm(first, axis=1)
    return [
        Finding("repeat", "vectors encoded again", _apart(first, again), _CHANGE, 0),
        Finding("order", "vectors encoded in reverse", _apart(first, turned), _CHANGE, ROUNDING),
        Finding("batch", "vectors encoded alone", _apart(first, alone), _CHANGE, ROUNDING),
        Finding("batch", f"vectors encoded among {len(company)} others", _apart(first, crowded), _CHANGE, ROUNDING),
        Finding("norm", "lengths of vectors, off 1", float(np.abs(norms - 1).max()), "", ROUNDING),
        Finding("dimension", "numbers of a vector", encoder.dimension, "numbers"),
        *_truncation(encoder),
        _prefix("query", encoder.query_prefix),
        _prefix("passage", encoder.passage_prefix),
    ]


def _apart(one: Vectors, other: Vectors) -> float:
    return float(np.abs(one - other).max())


def _prefix(role: str, prefix: str) -> Finding:
    return Finding("prefix", f"characters put before a {role}", len(prefix), "characters", None, repr(prefix))


def _truncation(encoder: BiEncoder) -> Iterator[Finding]:
    """What lies beyond the longest text is counted and changes nothing; what lies before it counts."""
    longest = encoder.max_length
    if longest is None:
        yield Finding("truncation", "tokens read of a text", float("inf"), "tokens", None, "without bound")
        return
    yield Finding("truncation", "tokens read of a text", longest, "tokens")
    if longest > OVERRUN_TOKENS:
        note = f"not measured: texts of up to {OVERRUN_TOKENS} tokens are overrun"
        yield Finding("truncation", "what words beyond that change", math.nan, _CHANGE, None, note)
        return
    short, long = "a", " ".join([TEXTS[0]] * longest)  # a word is a token at least
    uncounted = abs(encoder.truncated_passages([short, long]) - 1)
    yield Finding("truncation", "texts miscounted as longer than that", uncounted, "of 2", 0)
    one, other = encoder.encode_passages([long, f"{long} {TEXTS[1]}"])
    beyond = float(np.abs(one - other).max())
    yield Finding("truncation", "what words beyond that change", beyond, _CHANGE, ROUNDING)
