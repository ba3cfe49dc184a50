"""What a language model was asked before it is not asked again: planned batches, kept as they are finished."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from uae_bench.errors import ModelUnavailable
from uae_bench.progress import SILENT, Progress
from uae_bench.records import Likelihood
from uae_bench.store.digests import Json, digest_of

if TYPE_CHECKING:
    from uae_bench.lm.base import Contrast, ContrastiveScorer, Generated, Generator, Pair, Plan, Sampling, Scorer

Item = TypeVar("Item")
Result = TypeVar("Result")

ROUNDING = 1e-4
"""Nats a token by which a sum of log-probabilities in float32 may come out above 0."""


class Calls(Protocol):
    """Results of planned batches by digest (`uae_bench.store.CallCache`)."""

    def get(self, digest: str) -> list[Json] | None: ...

    def put(self, digest: str, model: str, results: Sequence[Json]) -> None: ...


class Forgetful:
    """Keeps nothing: for what must be asked every time, such as a question whose time is taken."""

    def get(self, digest: str) -> list[Json] | None:
        """Never anything."""
        return None

    def put(self, digest: str, model: str, results: Sequence[Json]) -> None:
        """Let go."""


class Remembered:
    """Asks a model batch by batch of its own plan, but for the batches that `calls` holds.

    A batch is found again by the model's identity, `version` (of whoever asks: another version asks anew) and all
    that was asked. Killed, it goes on at the batch that was not finished. No batch is begun beyond the model's cap.

    Raises (whatever asks):
        ModelUnavailable: a likelihood cannot be one (`sound`).
        NotPossible: the run has taken more than it may; what it took is kept.
    """

    def __init__(
        self, identity: Mapping[str, str], calls: Calls, version: int, progress: Progress = SILENT, label: str = ""
    ) -> None:
        self.identity = identity
        self.calls = calls
        self.version = version
        self.progress = progress
        self.label = label

    def score(self, scorer: Scorer, pairs: Sequence[Pair], plan: Plan | None = None) -> list[Likelihood]:
        """Likelihoods in the order of the pairs. `plan` is the scorer's plan of them, where it is at hand."""

        def ask(part: Sequence[Pair]) -> list[Likelihood]:
            asked: dict[str, Json] = {"ask": "likelihood", "pairs": [list(pair) for pair in part]}
            found = self._get(asked)
            if found is None:
                scorer.purse.check_cap()
                made = sound(scorer.score_batch(part), scorer.spec)
                self._put(asked, [[one.logprob, one.tokens] for one in made])
                return made
            return [Likelihood(logprob, tokens) for logprob, tokens in cast("list[tuple[float, int]]", found)]

        return self._batched(pairs, plan or scorer.plan(pairs), ask)

    def contrast(
        self, scorer: ContrastiveScorer, contrasts: Sequence[Contrast], alpha: float, plan: Plan
    ) -> list[Likelihood]:
        """Contrastive likelihoods in the order of the contrasts, whose plan by the scorer is `plan`."""

        def ask(part: Sequence[Contrast]) -> list[Likelihood]:
            told: Json = [[list(pair) for pair in both] for both in part]
            asked: dict[str, Json] = {"ask": "contrast", "alpha": alpha, "contrasts": told}
            found = self._get(asked)
            if found is None:
                scorer.purse.check_cap()
                made = sound(scorer.contrast_batch(part, alpha), scorer.spec)
                self._put(asked, [[one.logprob, one.tokens] for one in made])
                return made
            return [Likelihood(logprob, tokens) for logprob, tokens in cast("list[tuple[float, int]]", found)]

        return self._batched(contrasts, plan, ask)

    def generate(self, generator: Generator, prompts: Sequence[str], sampling: Sampling) -> list[Generated]:
        """What is written after each prompt, in order."""
        from uae_bench.lm.base import Generated

        told: Json = {**asdict(sampling), "stop": list(sampling.stop)}

        def ask(part: Sequence[str]) -> list[Generated]:
            asked: dict[str, Json] = {"ask": "generation", "sampling": told, "prompts": list(part)}
            found = self._get(asked)
            if found is None:
                generator.purse.check_cap()
                made = generator.generate_batch(part, sampling)
                self._put(asked, [asdict(one) for one in made])
                return made
            return [Generated(**cast("dict[str, Any]", row)) for row in found]

        return self._batched(prompts, generator.plan_generation(prompts, sampling), ask)

    def sample(
        self, generator: Generator, prompts: Sequence[str], sampling: Sampling, count: int
    ) -> list[list[Generated]]:
        """`count` texts after each prompt, in order."""
        from uae_bench.lm.base import Generated

        told: Json = {**asdict(sampling), "stop": list(sampling.stop)}

        def ask(part: Sequence[str]) -> list[list[Generated]]:
            asked: dict[str, Json] = {"ask": "samples", "sampling": told, "count": count, "prompts": list(part)}
            found = self._get(asked)
            if found is None:
                generator.purse.check_cap()
                made = generator.sample_batch(part, sampling, count)
                self._put(asked, [[asdict(one) for one in texts] for texts in made])
                return made
            rows = cast("list[list[dict[str, Any]]]", found)
            return [[Generated(**row) for row in texts] for texts in rows]

        return self._batched(prompts, generator.plan_sampling(prompts, sampling, count), ask)

    def judge(
        self, claims: Sequence[Item], plan: Plan, work: Callable[[Sequence[Item]], Sequence[float]]
    ) -> list[float]:
        """A number for each claim (texts that JSON can hold), in order, from whatever judges them."""

        def ask(part: Sequence[Item]) -> Sequence[float]:
            asked: dict[str, Json] = {"ask": "judgement", "claims": cast("Json", list(part))}
            found = self._get(asked)
            if found is None:
                made = work(part)
                self._put(asked, list(made))
                return made
            return cast("list[float]", found)

        return self._batched(claims, plan, ask)

    def _batched(
        self, items: Sequence[Item], plan: Plan, ask: Callable[[Sequence[Item]], Sequence[Result]]
    ) -> list[Result]:
        from uae_bench.lm.planned import in_order

        return in_order(items, self.progress.track(plan.batches, total=len(plan.batches), label=self.label), ask)

    def _get(self, asked: Mapping[str, Json]) -> list[Json] | None:
        return self.calls.get(self._digest(asked))

    def _put(self, asked: Mapping[str, Json], results: Sequence[Json]) -> None:
        self.calls.put(self._digest(asked), digest_of(dict(self.identity)), results)

    def _digest(self, asked: Mapping[str, Json]) -> str:
        return digest_of({"version": self.version, "model": dict(self.identity), **asked})


def possible(one: Likelihood) -> bool:
    """Whether a log-probability is one: finite, and not above 0 beyond `ROUNDING`."""
    return -math.inf < one.logprob <= ROUNDING * max(one.tokens, 1)


def sound(likelihoods: list[Likelihood], spec: str) -> list[Likelihood]:
    """The likelihoods as they are, if all are possible.

    Probes look once, before labelling; a model may fail at any time after.

    Raises:
        ModelUnavailable: one cannot be.
    """
    for one in likelihoods:
        if not possible(one):
            raise ModelUnavailable(
                f"{spec or 'the model'} returned {one.logprob:g} as the log-probability of an answer of {one.tokens} "
                "tokens; it must be finite and not above 0. The batch was not kept, those before it were",
                hint=f"uae-bench doctor --lm {spec or 'SPEC'} shows what is wrong; then run the same command again",
            )
    return likelihoods
