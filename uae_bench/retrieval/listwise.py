"""RankGPT (Sun et al. 2023, arXiv 2304.09542): a language model orders numbered passages, window by window.

The windows slide from the back of the list to its head, so that what is good climbs; they overlap, so that it can.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from uae_bench.lm.base import Sampling, count_tokens
from uae_bench.prompts import answer_of
from uae_bench.records import Query
from uae_bench.retrieval.asking import (
    AskingReranker,
    Procedure,
    Tally,
    WritingSettings,
    asking_component,
    completed,
)

Outcome = Literal["ok", "missing", "repetition", "wrong format", "nothing"]
TOKENS_PER_NUMBER = 5
"""About what `[12] > ` takes; for estimates."""
SPARE_TOKENS = 16
"""Room beside the permutation itself, and a quotation where the template asks for one: a word before, an end token."""


class ListwiseSettings(WritingSettings):
    """How the list is gone through."""

    window: int = Field(default=20, ge=2, description="passages that are shown at once")
    step: int = Field(default=10, ge=1, description="places by which the window moves towards the head")
    shuffle: int = Field(
        default=0,
        ge=0,
        description="so many times (2 or more) the candidates are also shuffled first: order sensitivity",
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.step > self.window:
            raise ValueError(f"a step of {self.step} jumps over passages that a window of {self.window} does not show")
        if self.shuffle == 1:
            raise ValueError("orders are compared with one another: 2 shuffles at least, 0 for none")
        return self


def window_starts(count: int, window: int, step: int) -> list[int]:
    """Where the windows over `count` candidates begin, in the order of the calls; the last one begins at the head.

    50 candidates, window 20, step 10: 30, 20, 10, 0. Where the step does not divide evenly, the last move is shorter.
    """
    if count < 2:
        return []  # nothing to order
    return [*range(count - window, 0, -step), 0]


@dataclass(frozen=True, slots=True)
class Permutation:
    """What was read in an answer: places 0 to n-1 in the order named, the class of the answer, and its repairs."""

    order: tuple[int, ...]
    outcome: Outcome
    dropped: int
    appended: int


def read_permutation(text: str, count: int, *, reasoning: bool = False) -> Permutation:
    """Numbers in range, first mentions only, and the missing behind them in their old order.

    What a model reasons is no answer (`answer_of`); which numbers count, `numbers_in` says. Classes as in the paper's
    Table 7: an answer with several faults is of the first of wrong format, repetition, missing.
    """
    said = answer_of(text, reasoning=reasoning)
    numbers = numbers_in(said)
    places = [number - 1 for number in numbers if 1 <= number <= count]
    first = list(dict.fromkeys(places))
    outcome: Outcome = "ok"
    if not said:
        outcome = "nothing"
    elif not first:
        outcome = "wrong format"
    elif len(first) < len(places):
        outcome = "repetition"
    elif len(first) < count:
        outcome = "missing"
    return Permutation(tuple(completed(first, count)), outcome, len(numbers) - len(first), count - len(first))


def numbers_in(text: str) -> list[int]:
    """The numbers in brackets, in order; without any, all numbers of a text that says nothing else.

    Such a text has no letter but those of the word passage: `2 > 3 > 1`, `Passage 2, Passage 1`. In a sentence a bare
    number may count anything (`I cannot rank these 3 passages`). Runs of more than four digits are none.
    """
    found = re.findall(r"\[\s*(\d{1,4})\s*\]", text)
    if not found and not re.search(r"[^\W\d_]", re.sub(r"(?i)\bpassages?\b", "", text)):
        found = re.findall(r"(?<!\d)\d{1,4}(?!\d)", text)
    return [int(number) for number in found]


class RankGpt(AskingReranker):
    """Sliding windows over each query's candidates; all queries move together."""

    def scored(
        self, queries: Sequence[Query], lists: Mapping[str, Sequence[str]], tallies: Mapping[str, Tally]
    ) -> tuple[dict[str, list[float]], Mapping[str, float]]:
        scores = self._ordered(queries, lists, tallies)
        return scores, self._order_sensitivity(queries, lists) if self.settings.shuffle else {}

    def forgetful(self) -> Self:
        """A copy that asks every time, and only what the ranking itself takes."""
        other = super().forgetful()
        other.settings = self.settings.model_copy(update={"shuffle": 0})
        return other

    def _ordered(
        self, queries: Sequence[Query], lists: Mapping[str, Sequence[str]], tallies: Mapping[str, Tally]
    ) -> dict[str, list[float]]:
        most = max((min(self.settings.window, len(texts)) for texts in lists.values()), default=0)
        if most < 2:
            return {query.id: [1.0] * len(lists[query.id]) for query in queries}
        sampling = self._sampling(most)
        procedures = {query.id: self._slide(query, lists[query.id], sampling, tallies[query.id]) for query in queries}
        return self.carry_out(procedures, sampling, tallies)

    def _sampling(self, most: int) -> Sampling:
        """Greedy, with room for a permutation of `most` passages."""
        whole = " " + " > ".join(f"[{number}]" for number in range(1, most + 1))
        tokenizer = self.model.tokenizer
        needed = count_tokens(tokenizer, "", whole) - count_tokens(tokenizer, "", "")
        room = needed + self.template.quoted + SPARE_TOKENS
        return Sampling(self.settings.max_tokens or room, stop=self.template.stop)

    def _slide(self, query: Query, texts: Sequence[str], sampling: Sampling, tally: Tally) -> Procedure:
        order = list(range(len(texts)))
        for start in window_starts(len(texts), self.settings.window, self.settings.step):
            shown = order[start : start + self.settings.window]
            half = max(2, len(shown) // 2)
            written = yield self.fitted(
                lambda kept: self.template.ordering(query.text, kept),
                [texts[place] for place in shown],
                sampling,
                tally,
                f"show fewer at a time (--set {self.name}.window={half}, with a step no longer)",
            )
            read = read_permutation(written.text, len(shown), reasoning=self.reasons)
            tally.outcomes[read.outcome] += 1
            tally.repairs.update({"numbers dropped": read.dropped, "passages appended": read.appended})
            order[start : start + len(shown)] = [shown[place] for place in read.order]
        return order

    def _order_sensitivity(self, queries: Sequence[Query], lists: Mapping[str, Sequence[str]]) -> dict[str, float]:
        """How much the result depends on the order in which candidates come: over pairs of shuffles, the mean of
        Kendall's τ, and the share of queries with another first passage; the calls that it took."""
        from scipy.stats import kendalltau

        asked = [query for query in queries if len(lists[query.id]) > 1]
        tallies = {query.id: Tally() for query in asked}
        found: list[dict[str, list[float]]] = []
        for number in range(self.settings.shuffle):
            rng = np.random.default_rng(number)
            places = {query.id: rng.permutation(len(lists[query.id])).tolist() for query in asked}
            shuffled = {query: [lists[query][place] for place in row] for query, row in places.items()}
            scores = self._ordered(asked, shuffled, tallies)
            found.append(
                {query: [row[places[query].index(p)] for p in range(len(row))] for query, row in scores.items()}
            )
        if not asked:
            return {}
        pairs = [(one[query.id], other[query.id]) for one, other in combinations(found, 2) for query in asked]
        return {
            f"{self.name}_order_kendall_tau": float(np.mean([kendalltau(*pair)[0] for pair in pairs])),
            f"{self.name}_order_other_first_passage": float(np.mean([np.argmax(a) != np.argmax(b) for a, b in pairs])),
            f"{self.name}_order_calls": sum(tally.calls for tally in tallies.values()),
            f"{self.name}_order_tokens": sum(each.prompt_tokens + each.completion_tokens for each in tallies.values()),
        }


def _cost(settings: ListwiseSettings, count: int) -> tuple[int, int, int]:
    calls = len(window_starts(count, settings.window, settings.step)) * (1 + settings.shuffle)
    shown = calls * min(settings.window, count)
    return calls, shown, TOKENS_PER_NUMBER * shown


RANKGPT = asking_component("rankgpt", RankGpt, ListwiseSettings, asks=("writes",), cost=_cost, version=2)
