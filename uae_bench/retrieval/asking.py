"""Rerankers that ask a language model: how they come by it, how passages are made to fit, what is counted."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field

from uae_bench.errors import NotPossible
from uae_bench.lm.remembered import Forgetful, Remembered
from uae_bench.lm.spec import LmSpec, parse_lm
from uae_bench.prompts import RETRIEVAL, RetrievalTemplate, shown
from uae_bench.records import Asked, Query, Ranking, RetrievalView, Run
from uae_bench.retrieval.component import (
    Ability,
    Component,
    Reranked,
    Reranker,
    Resources,
    Settings,
    candidates,
    checked_depth,
)

if TYPE_CHECKING:
    from uae_bench.lm.base import Generated, LanguageModel, Sampling, Tokenizer

LEAST_TOKENS = 8
"""Of a passage at least so much is shown; a prompt that leaves less room is refused."""

ARGUMENT = "a language model, backend:name@revision; alone it means the generator"

Procedure = Generator[str, "Generated", list[int]]
"""One query's dealings with a model that writes: yields a prompt, is sent what was written, returns the order of the
candidates (their places in the run, best first; places left out follow in their old order)."""


@dataclass(slots=True)
class Tally:
    """What a query has taken so far."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cut_tokens: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)

    def wrote(self, answer: Generated) -> None:
        """Count an answer."""
        self.calls += 1
        self.prompt_tokens += answer.prompt_tokens
        self.completion_tokens += answer.completion_tokens

    def of(self, query: str, step: str) -> Asked:
        """As a record."""
        counted = self.calls, self.prompt_tokens, self.completion_tokens, self.cut_tokens
        return Asked(query, step, *counted, dict(sorted(self.outcomes.items())), dict(sorted((+self.repairs).items())))


class AskingSettings(Settings):
    """What every reranker that asks may be told; none of it so far."""


class WritingSettings(AskingSettings):
    """How much may be written."""

    max_tokens: int | None = Field(
        default=None,
        ge=1,
        description="tokens of an answer; unset: what the form needs. A model that reasons wants more",
    )


class AskingReranker(Reranker):
    """Knows its model and prompts, and asks nothing twice. A subclass says how the candidates of queries are ordered.

    `version` is its component's: answers are remembered under it.
    """

    version: int

    def __init__(self, name: str, spec: LmSpec, settings: Any, resources: Resources) -> None:
        self.name = name
        self.settings = settings
        self._spec = spec
        self._resources = resources
        self._calls = resources.calls

    @property
    def model(self) -> LanguageModel:
        """The open model.

        Raises:
            NotPossible: there are no language models among the resources.
        """
        if self._resources.models is None:
            hint = "give some: Resources(models=uae_bench.experiment.models.Models(LmResources()))"
            raise NotPossible(f"{self.name} asks {self._spec.text}, and its resources hold no models", hint=hint)
        return self._resources.models.get(self._spec)

    @property
    def template(self) -> RetrievalTemplate:
        """The prompts that suit the model."""
        return RETRIEVAL[self._spec.prompt.name]

    @cached_property
    def reasons(self) -> bool:
        """Whether the chat template itself begins a block of reasoning."""
        return self.model.tokenizer.frame("", "")[0].rstrip().endswith("<think>")

    def forgetful(self) -> Self:
        """A copy that asks the model every time."""
        other = copy(self)
        other._calls = Forgetful()
        return other

    def rerank(self, view: RetrievalView, run: Run, *, depth: int) -> Reranked:
        """The run's candidates in the model's order. Equal scores stand in order of passage id."""
        checked_depth(depth)
        found = candidates(view, run)
        texts = {passage.id: shown(passage) for passage in view.passages}
        lists = {query.id: [texts[passage] for passage in found[query.id]] for query in view.queries}
        tallies = {query.id: Tally() for query in view.queries}
        scores, facts = self.scored(view.queries, lists, tallies)
        rankings = {
            query: Ranking.from_scores(dict(zip(found[query], row, strict=True)), depth)
            for query, row in scores.items()
        }
        asked = tuple(tally.of(query, self.name) for query, tally in tallies.items())
        return Reranked(Run(self.name, depth, rankings), facts, asked)

    @abstractmethod
    def scored(
        self, queries: Sequence[Query], lists: Mapping[str, Sequence[str]], tallies: Mapping[str, Tally]
    ) -> tuple[dict[str, list[float]], Mapping[str, float]]:
        """A score for every candidate text (best first in the run) of every query, and facts; counts into `tallies`."""

    def remembered(self) -> Remembered:
        """Whoever asks the model in this reranker's name."""
        assert self._resources.models is not None
        identity = self._resources.models.identity(self._spec)
        return Remembered(identity, self._calls, self.version, self._resources.progress, self.name)

    def fitted(
        self,
        build: Callable[[Sequence[str]], str],
        texts: Sequence[str],
        sampling: Sampling,
        tally: Tally,
        hint: str,
    ) -> str:
        """What `build` makes of the texts, cut evenly so that there is room to write; what was cut is counted.

        Raises:
            NotPossible: too little of each text would be left; `hint` says what to do.
        """
        model = self.model
        made = fit_evenly(build, texts, "", model.window - sampling.max_tokens, model.tokenizer, hint)
        tally.cut_tokens += made.cut_tokens
        return made.prompt

    def carry_out(
        self, procedures: Mapping[str, Procedure], sampling: Sampling, tallies: Mapping[str, Tally]
    ) -> dict[str, list[float]]:
        """Scores by the order that each query's procedure returns: n for the best of n, 1 for the last.

        All procedures go on together: what they ask in one round is one planned set of prompts.
        """
        model, asking = self.model, self.remembered()
        orders: dict[str, list[int]] = {}
        waiting: dict[str, str] = {}

        def go_on(query: str, answer: Generated | None) -> None:
            procedure = procedures[query]
            try:
                waiting[query] = next(procedure) if answer is None else procedure.send(answer)
            except StopIteration as done:
                orders[query] = done.value

        for query in procedures:
            go_on(query, None)
        while waiting:
            turn, prompts = list(waiting), list(waiting.values())
            waiting.clear()
            for query, answer in zip(turn, asking.generate(model, prompts, sampling), strict=True):
                tallies[query].wrote(answer)
                go_on(query, answer)
        return {query: _scores(order) for query, order in orders.items()}


def _scores(order: Sequence[int]) -> list[float]:
    scores = [0.0] * len(order)
    for rank, place in enumerate(order):
        scores[place] = float(len(order) - rank)
    return scores


def completed(order: Sequence[int], count: int) -> list[int]:
    """The order with the places that it leaves out of range(count) behind it, in their old order."""
    return [*order, *sorted(set(range(count)).difference(order))]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A prompt that fits, its tokens with the continuation, and how many tokens were cut from its texts."""

    prompt: str
    tokens: int
    cut_tokens: int


def fit_evenly(
    build: Callable[[Sequence[str]], str],
    texts: Sequence[str],
    continuation: str,
    limit: int,
    tokenizer: Tokenizer,
    hint: str,
) -> Fitted:
    """What `build` makes of the texts, cut evenly until it and the continuation take at most `limit` tokens.

    Cut evenly: no text loses a token while a longer one has more; all ends go, never a beginning.

    Raises:
        NotPossible: that would leave less than `LEAST_TOKENS` of a text; `hint` says what to do.
    """
    from uae_bench.lm.base import count_tokens

    prompt = build(texts)
    taken = count_tokens(tokenizer, prompt, continuation)
    if taken <= limit:
        return Fitted(prompt, taken, 0)
    starts = [tokenizer.starts(text) for text in texts]
    room = sum(map(len, starts)) - (taken - limit)
    while True:
        most = level(list(map(len, starts)), room)
        if most < LEAST_TOKENS:
            raise NotPossible(
                f"{len(texts)} passages and what stands around them take {taken} tokens, {limit} fit the model, and "
                f"{most} would be left of each",
                hint=hint,
            )
        kept = [text if len(at) <= most else text[: at[most]].rstrip() for text, at in zip(texts, starts, strict=True)]
        prompt = build(kept)
        taken = count_tokens(tokenizer, prompt, continuation)
        if taken <= limit:
            return Fitted(prompt, taken, sum(max(len(at) - most, 0) for at in starts))
        room -= taken - limit


def level(lengths: Sequence[int], room: int) -> int:
    """The greatest L with Σ min(length, L) ≤ room, -1 where even nothing is too much."""
    if room < 0:
        return -1
    left, sizes = room, sorted(lengths)
    for place, size in enumerate(sizes):
        share = left // (len(sizes) - place)
        if size > share:
            return share
        left -= size
    return sizes[-1] if sizes else 0


def asking_component(
    name: str,
    kind: type[AskingReranker],
    config: type[Settings],
    *,
    asks: tuple[Ability, ...],
    cost: Callable[[Any, int], tuple[int, int, int]],
    version: int,
) -> Component:
    """The table's row of a reranker that asks, under `name`."""
    kind.version = version
    return Component(
        shapes=("R->R",),
        config=config,
        build=partial(_build, name, kind),
        identity=_identity,
        version=version,
        argument=ARGUMENT,
        asks=asks,
        cost=cost,
    )


def _build(
    name: str, kind: type[AskingReranker], argument: str, settings: Settings, resources: Resources
) -> AskingReranker:
    return kind(name, parse_lm(argument), settings, resources)


def _identity(argument: str, settings: Settings) -> Mapping[str, str]:
    """The prompts; the model's own identity is a matter of how it is run."""
    template = parse_lm(argument).prompt
    return {"prompt": template.digest, "retrieval prompts": RETRIEVAL[template.name].digest}
