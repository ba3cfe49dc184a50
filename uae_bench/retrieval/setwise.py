"""Setwise reranking (Zhuang et al. 2024, arXiv 2310.09497): a language model names the best of a few passages, and a
heap sort with that comparison finds the first ones of a list.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

from pydantic import Field

from uae_bench.lm.base import Sampling
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
from uae_bench.retrieval.listwise import numbers_in

CHOICE_TOKENS = 16
"""Room for a number in brackets and a word or two before it."""


class SetwiseSettings(WritingSettings):
    """The heap."""

    children: int = Field(
        default=3, ge=1, description="of a node of the heap: with their parent they are compared at once"
    )
    top: int = Field(default=10, ge=1, description="so many places are sorted; the others keep the run's order")


Sort = Generator[list[int], int, list[int]]
"""Yields a group of items, is sent the place of the best among them, returns the best items in order."""


def heap_sort(count: int, children: int, top: int) -> Sort:
    """The `top` best of range(count) by comparisons of a parent with its children, the best first."""
    heap = list(range(count))

    def sift(place: int, size: int) -> Generator[list[int], int, None]:
        while True:
            group = [place, *range(children * place + 1, min(children * (place + 1) + 1, size))]
            if len(group) < 2:
                return
            best = group[(yield [heap[each] for each in group])]
            if best == place:
                return
            heap[place], heap[best] = heap[best], heap[place]
            place = best

    for place in reversed(range((count - 2) // children + 1 if count > 1 else 0)):
        yield from sift(place, count)
    sorted_ones = []
    for size in range(count, max(count - top, 0), -1):
        sorted_ones.append(heap[0])
        heap[0] = heap[size - 1]
        if len(sorted_ones) < top:
            yield from sift(0, size - 1)
    return sorted_ones


class Setwise(AskingReranker):
    """A heap sort per query; all queries ask together."""

    def scored(
        self, queries: Sequence[Query], lists: Mapping[str, Sequence[str]], tallies: Mapping[str, Tally]
    ) -> tuple[dict[str, list[float]], Mapping[str, float]]:
        sampling = Sampling(self.settings.max_tokens or CHOICE_TOKENS + self.template.quoted, stop=self.template.stop)
        procedures = {query.id: self._sort(query, lists[query.id], sampling, tallies[query.id]) for query in queries}
        return self.carry_out(procedures, sampling, tallies), {}

    def _sort(self, query: Query, texts: Sequence[str], sampling: Sampling, tally: Tally) -> Procedure:
        sort = heap_sort(len(texts), self.settings.children, self.settings.top)
        best: int | None = None
        while True:
            try:
                group = next(sort) if best is None else sort.send(best)
            except StopIteration as done:
                return completed(done.value, len(texts))
            written = yield self.fitted(
                lambda kept: self.template.choosing(query.text, kept),
                [texts[place] for place in group],
                sampling,
                tally,
                f"compare fewer at once (--set {self.name}.children={max(1, self.settings.children // 2)})",
            )
            best = read_choice(written.text, len(group), tally, reasoning=self.reasons)


def read_choice(text: str, count: int, tally: Tally, *, reasoning: bool) -> int:
    """The place of the first number in range; the parent's, 0, where there is none, which is counted as a repair."""
    said = answer_of(text, reasoning=reasoning)
    named = [number for number in numbers_in(said) if 1 <= number <= count]
    tally.outcomes["ok" if named else "wrong format" if said else "nothing"] += 1
    if not named:
        tally.repairs["choices left as they were"] += 1
    return named[0] - 1 if named else 0


def _cost(settings: SetwiseSettings, count: int) -> tuple[int, int, int]:
    """At most: every sift goes down to a leaf."""

    def height(place: int) -> int:
        first = settings.children * place + 1
        return 1 + height(first) if first < count else 0

    sifts = [*range(count), *[0] * (min(settings.top, count) - 1)]  # building, then one from the root per place sorted
    calls = sum(map(height, sifts))
    return calls, calls * (settings.children + 1), calls * CHOICE_TOKENS


SETWISE = asking_component("setwise", Setwise, SetwiseSettings, asks=("writes",), cost=_cost, version=2)
