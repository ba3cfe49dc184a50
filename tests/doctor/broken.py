"""Backends with one fault each, over true weights: what the probes are there to find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from uae_bench.lm.base import EncodedPair, Generated, Pair, Sampling
from uae_bench.lm.families import descent_of
from uae_bench.lm.hf import HfModel
from uae_bench.lm.local import Dtype, LocalBackend, _hub_or_folder
from uae_bench.lm.resources import LmResources
from uae_bench.records import Likelihood


class Lonely(HfModel):
    """Alone, a pair is scored by another path than in company."""

    def score_batch(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        off = 0.05 if len(pairs) == 1 else 0.0
        return [Likelihood(one.logprob - off * one.tokens, one.tokens) for one in super().score_batch(pairs)]


class Ordered(HfModel):
    """The later in a batch, the less likely, as where a cache is read that earlier requests filled."""

    def score_batch(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        found = super().score_batch(pairs)
        return [replace(one, logprob=one.logprob - 0.02 * at * one.tokens) for at, one in enumerate(found)]


class Drifting(HfModel):
    """No call gives what the one before it gave."""

    calls = 0

    def score_batch(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        self.calls += 1
        found = super().score_batch(pairs)
        return [replace(one, logprob=one.logprob - 0.02 * self.calls * one.tokens) for one in found]


class Late(HfModel):
    """The answer's first token is taken for the prompt's last."""

    def encode(self, pairs: Sequence[Pair]) -> list[EncodedPair]:
        return [replace(pair, start=min(pair.start + 1, len(pair.ids) - 1)) for pair in super().encode(pairs)]


class Forgetful(HfModel):
    """Sums the log-probabilities of one token too few, and does not say so."""

    def score_batch(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        late = [replace(pair, start=pair.start + 1) for pair in self.encode(pairs)]
        from uae_bench.lm.scoring import score_encoded

        sums = score_encoded(self.network, late)
        return [Likelihood(logprob, pair.scored + 1) for logprob, pair in zip(sums, late, strict=True)]


class Shortening(HfModel):
    """Reads the last 64 tokens of whatever it is given, and says nothing."""

    def encode(self, pairs: Sequence[Pair]) -> list[EncodedPair]:
        whole, self.limit = self.limit, None
        self.__dict__["window"] = 10**6
        try:
            encoded = super().encode(pairs)
        finally:
            self.limit = whole
            del self.__dict__["window"]
        return [replace(pair, ids=pair.ids[-64:], start=pair.start - max(len(pair.ids) - 64, 0)) for pair in encoded]


class Numb(HfModel):
    """Its likelihoods are not numbers."""

    def score_batch(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        return [replace(one, logprob=float("nan")) for one in super().score_batch(pairs)]


class Sociable(HfModel):
    """Writes something else in company."""

    def generate_batch(self, prompts: Sequence[str], sampling: Sampling) -> list[Generated]:
        written = super().generate_batch(prompts, sampling)
        return [replace(one, text=f"{one.text} {len(prompts)}") for one in written]


class Padded(HfModel):
    """Puts a second begin token before what it was sent."""

    def generate_batch(self, prompts: Sequence[str], sampling: Sampling) -> list[Generated]:
        written = super().generate_batch(prompts, sampling)
        return [replace(one, prompt_tokens=one.prompt_tokens + 1) for one in written]


@dataclass(frozen=True, slots=True)
class Broken(LocalBackend):
    """Opens a folder as a model of one of the classes above."""

    kind: type[HfModel] = HfModel

    @contextmanager
    def open(
        self, name: str, revision: str, dtype: Dtype, resources: LmResources, window: int | None
    ) -> Iterator[HfModel]:
        yield self.kind(self._folder(name, revision), "cpu", dtype, window)


def _backend(kind: Any) -> Broken:
    return Broken(_hub_or_folder, descent_of, kind=kind)


LONELY = _backend(Lonely)
ORDERED = _backend(Ordered)
DRIFTING = _backend(Drifting)
LATE = _backend(Late)
FORGETFUL = _backend(Forgetful)
SHORTENING = _backend(Shortening)
NUMB = _backend(Numb)
SOCIABLE = _backend(Sociable)
PADDED = _backend(Padded)
FAULTS = ("lonely", "ordered", "drifting", "late", "forgetful", "shortening", "numb", "sociable", "padded")
