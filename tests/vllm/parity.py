"""How far a backend is from transformers: likelihoods, the order of passages, texts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau

from uae_bench.lm.base import Pair, Sampling
from uae_bench.lm.resources import LmResources
from uae_bench.lm.spec import parse_lm
from uae_bench.pipeline import read
from uae_bench.prompts import PLAIN, continuation
from uae_bench.records import Likelihood

FAMILIES = ("lfm2", "llama", "neox")
SMALL = LmResources(cache_gib=0.5)
WRITING = Sampling(max_tokens=16)
NATS, TAU = 1e-3, 0.99


@dataclass(frozen=True, slots=True)
class Asked:
    """Per query of the lab its first answer after each passage of its document."""

    rows: tuple[tuple[Pair, ...], ...]

    @property
    def pairs(self) -> list[Pair]:
        return [pair for row in self.rows for pair in row]

    @property
    def prompts(self) -> list[str]:
        """One to write after per query."""
        return [row[0][0] for row in self.rows]


@dataclass(frozen=True, slots=True)
class Heard:
    """What one backend said, and in how many seconds, the model's start included."""

    likelihoods: Sequence[Likelihood]
    texts: Sequence[str]
    seconds: float


@dataclass(frozen=True, slots=True)
class Parity:
    """How far a backend is from the reference: the largest difference of a pair's mean log-likelihood (nats per token),
    Kendall's tau between the orders of each query's passages, and how many texts are equal.
    """

    apart: float
    taus: Sequence[float]
    equal: int

    @property
    def tau(self) -> float:
        """Mean over queries."""
        return float(np.mean(self.taus))

    @property
    def holds(self) -> bool:
        """Whether the two are one model."""
        return self.apart < NATS and self.tau >= TAU and self.equal == len(self.taus)


def ask(queries: int) -> Asked:
    """The first queries with an answer of the lab's test split."""
    task = read("lab")
    answerable = [query for query in task.asked("test") if task.answerable(query.id)][:queries]
    return Asked(
        tuple(
            tuple(
                (PLAIN.answering(query.text, [task.passages[passage]]), continuation(task.answerable(query.id)[0].text))
                for passage in task.documents[query.document_id or ""]
            )
            for query in answerable
        )
    )


def hear(spec: str, asked: Asked) -> Heard:
    """Likelihoods of all pairs and what is written after the prompts."""
    started = time.perf_counter()
    with parse_lm(spec).open(SMALL) as model:
        likelihoods = model.score(asked.pairs)
        texts = [one.text for one in model.generate(asked.prompts, WRITING)]
    return Heard(likelihoods, texts, time.perf_counter() - started)


def compare(reference: Heard, found: Heard, asked: Asked) -> Parity:
    """How far `found` is from the reference.

    Raises:
        AssertionError: they counted other tokens.
    """
    both = list(zip(reference.likelihoods, found.likelihoods, strict=True))
    assert all(one.tokens == other.tokens for one, other in both), "a backend scored other tokens"
    means = np.array([(one.mean, other.mean) for one, other in both])  # (pairs, 2)
    ends = np.cumsum([len(row) for row in asked.rows])[:-1]
    taus = [float(kendalltau(part[:, 0], part[:, 1])[0]) for part in np.split(means, ends)]
    equal = sum(one == other for one, other in zip(reference.texts, found.texts, strict=True))
    return Parity(float(np.abs(means[:, 0] - means[:, 1]).max()), taus, equal)
