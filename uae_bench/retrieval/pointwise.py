"""Pointwise rerankers: a language model's likelihoods score each passage by itself.

`pointwise`: log of P(yes) / P(no) to whether the passage answers the query (Liang et al. 2022, arXiv 2211.09110).
`upr`: Σ log p(query | passage) (Sachan et al. 2022, arXiv 2204.07496).
`utility-selector`: the model first writes an answer from the run's first passages; a passage is then scored like
`pointwise`, by whether it helped to that answer (utility judgements with pseudo-answers: Zhang et al. 2025,
arXiv 2507.19102, who select in windows; here pointwise, so that any model that scores can do it).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial

from pydantic import Field

from uae_bench.lm.base import Pair, Sampling, count_tokens
from uae_bench.prompts import answer_of, continuation
from uae_bench.records import Passage, Query
from uae_bench.retrieval.asking import AskingReranker, AskingSettings, Tally, asking_component, fit_evenly

LONGER = "take a model with a longer window, or leave the query out"


class LikelihoodReranker(AskingReranker):
    """Asks about each candidate by itself, all candidates of all queries at once."""

    @abstractmethod
    def continuations(self, query: Query) -> tuple[str, ...]:
        """What follows the prompt: the likelihood of each is asked for."""

    @abstractmethod
    def prompt(self, query: Query, text: str) -> str:
        """What stands before the continuations."""

    @abstractmethod
    def worth(self, logprobs: Sequence[float]) -> float:
        """A candidate's score from the summed log-probabilities (nats) of the continuations."""

    def scored(
        self, queries: Sequence[Query], lists: Mapping[str, Sequence[str]], tallies: Mapping[str, Tally]
    ) -> tuple[dict[str, list[float]], Mapping[str, float]]:
        tokens: dict[Pair, int] = {}
        asked: dict[str, list[tuple[Pair, ...]]] = {}
        for query in queries:
            longest = self._longest(query)
            rows = asked[query.id] = [
                self._pairs(query, text, longest, tokens, tallies[query.id]) for text in lists[query.id]
            ]
            distinct = dict.fromkeys(pair for pairs in rows for pair in pairs)
            tallies[query.id].calls += len(distinct)
            tallies[query.id].prompt_tokens += sum(tokens[pair] for pair in distinct)
        found = dict(zip(tokens, self.remembered().score(self.model, list(tokens)), strict=True))
        scores = {
            query: [self.worth([found[pair].logprob for pair in pairs]) for pairs in rows]
            for query, rows in asked.items()
        }
        return scores, {}

    def _longest(self, query: Query) -> str:
        """The continuation of most tokens, "" where there is none: what fits with it fits with all."""
        prompt, tokenizer = self.prompt(query, ""), self.model.tokenizer
        return max(self.continuations(query), key=partial(count_tokens, tokenizer, prompt), default="")

    def _pairs(self, query: Query, text: str, longest: str, tokens: dict[Pair, int], tally: Tally) -> tuple[Pair, ...]:
        """Prompt and continuations, the text cut where they would not fit; their lengths go into `tokens`."""
        said, model = self.continuations(query), self.model
        fitted = fit_evenly(partial(self._built, query), [text], longest, model.window, model.tokenizer, LONGER)
        tally.cut_tokens += fitted.cut_tokens
        pairs = tuple((fitted.prompt, each) for each in said)
        tokens.update(dict.fromkeys(pairs, fitted.tokens))
        return pairs

    def _built(self, query: Query, texts: Sequence[str]) -> str:
        (text,) = texts
        return self.prompt(query, text)


class Pointwise(LikelihoodReranker):
    """P(yes) against P(no), as log-odds: they order like P(yes) / (P(yes) + P(no)) and never saturate."""

    def continuations(self, query: Query) -> tuple[str, ...]:
        return continuation("Yes"), continuation("No")

    def prompt(self, query: Query, text: str) -> str:
        return self._spec.prompt.judging(query.text, [_passage(text)])

    def worth(self, logprobs: Sequence[float]) -> float:
        yes, no = logprobs
        return yes - no


class Upr(LikelihoodReranker):
    """Query likelihood. An empty query has none: all passages are worth 0."""

    def continuations(self, query: Query) -> tuple[str, ...]:
        return (continuation(query.text),) if query.text.strip() else ()

    def prompt(self, query: Query, text: str) -> str:
        return self.template.asking(text)

    def worth(self, logprobs: Sequence[float]) -> float:
        return sum(logprobs)


class UtilitySelectorSettings(AskingSettings):
    """How the answer comes about that passages are judged by."""

    context: int = Field(default=5, ge=1, description="first passages of the run from which the answer is written")
    max_tokens: int = Field(default=64, ge=1, description="tokens of that answer")


class UtilitySelector(Pointwise):
    """An answer first, then for each passage whether it helped to it. An answer that says nothing is counted."""

    _answers: Mapping[str, str]

    def prompt(self, query: Query, text: str) -> str:
        return self.template.using(query.text, self._answers[query.id], text)

    def scored(
        self, queries: Sequence[Query], lists: Mapping[str, Sequence[str]], tallies: Mapping[str, Tally]
    ) -> tuple[dict[str, list[float]], Mapping[str, float]]:
        sampling = Sampling(self.settings.max_tokens)
        prompts = {query.id: self._answering(query, lists[query.id], sampling, tallies[query.id]) for query in queries}
        distinct = list(dict.fromkeys(prompts.values()))
        written = dict(zip(distinct, self.remembered().generate(self.model, distinct, sampling), strict=True))
        self._answers = {
            query: answer_of(written[prompt].text, reasoning=self.reasons) for query, prompt in prompts.items()
        }
        for query, prompt in prompts.items():
            tallies[query].wrote(written[prompt])
            tallies[query].outcomes["ok" if self._answers[query] else "nothing"] += 1
        return super().scored(queries, lists, tallies)

    def _answering(self, query: Query, texts: Sequence[str], sampling: Sampling, tally: Tally) -> str:
        def build(kept: Sequence[str]) -> str:
            return self._spec.prompt.answering(query.text, [_passage(text) for text in kept])

        fewer = f"answer from fewer passages (--set {self.name}.context=1)"
        return self.fitted(build, texts[: self.settings.context], sampling, tally, fewer)


def _passage(text: str) -> Passage:
    """A text that has its title already, as templates want it."""
    return Passage("", text, "", "")


def _two_each(settings: AskingSettings, count: int) -> tuple[int, int, int]:
    return 2 * count, 2 * count, 0


def _one_each(settings: AskingSettings, count: int) -> tuple[int, int, int]:
    return count, count, 0


def _answer_and_two_each(settings: UtilitySelectorSettings, count: int) -> tuple[int, int, int]:
    return 2 * count + 1, 2 * count + min(settings.context, count), settings.max_tokens


POINTWISE = asking_component("pointwise", Pointwise, AskingSettings, asks=("scores",), cost=_two_each, version=1)
UPR = asking_component("upr", Upr, AskingSettings, asks=("scores",), cost=_one_each, version=1)
UTILITY_SELECTOR = asking_component(
    "utility-selector",
    UtilitySelector,
    UtilitySelectorSettings,
    asks=("writes", "scores"),
    cost=_answer_and_two_each,
    version=2,
)
