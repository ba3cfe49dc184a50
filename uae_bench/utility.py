"""From likelihoods to utilities: what a passage is worth to a language model that has to answer a query. No torch.

Stored is evidence, not a verdict: for each (query, passage, reference answer) the answer's summed log-probability and
token count with the passage and without any (`UtilityRow`). Every definition is recomputed from that (methods.md §1;
arXiv 2604.22722, Eq. 1). An unanswerable question has no rows, hence no utility.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uae_bench.errors import BadInput, UnknownName
from uae_bench.lm.remembered import Calls, Remembered
from uae_bench.progress import SILENT, Progress
from uae_bench.prompts import PromptTemplate, continuation
from uae_bench.records import Answer, Passage, Query, UtilityRow
from uae_bench.registry import nearest
from uae_bench.stages import STAGES

if TYPE_CHECKING:
    from uae_bench.lm.base import ContrastiveScorer, Pair, Scorer


@dataclass(frozen=True, slots=True)
class UtilityItem:
    """A query, a passage, and which of the query's reference answers: what one `UtilityRow` is about."""

    query: str
    passage: str
    answer: int


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """What labelling took, the same whether computed or remembered: a matter of the items, not of the run.

    `calls` are distinct pairs of prompt and answer; `tokens` all their tokens; `computed_tokens` those read once
    shared prefixes are read once; `truncated_tokens` were cut from passages to fit the model's window, in
    `truncated_prompts` prompts; `backed_up_tokens` span the boundary between prompt and answer.
    """

    calls: int
    tokens: int
    computed_tokens: int
    truncated_tokens: int
    truncated_prompts: int
    backed_up_tokens: int


@dataclass(frozen=True, slots=True)
class Labelling:
    """Rows in the order of the items, and what they took."""

    rows: tuple[UtilityRow, ...]
    counts: LabelCounts


def label_items(candidates: Mapping[str, Sequence[str]], answers: Mapping[str, Sequence[Answer]]) -> list[UtilityItem]:
    """Every candidate of every query with every reference that answers it."""
    return [
        UtilityItem(query, passage, index)
        for query, passages in candidates.items()
        for passage in passages
        for index, answer in enumerate(answers.get(query, ()))
        if answer.is_answer
    ]


def label(
    scorer: Scorer,
    items: Sequence[UtilityItem],
    *,
    queries: Mapping[str, Query],
    passages: Mapping[str, Passage],
    answers: Mapping[str, Sequence[Answer]],
    template: PromptTemplate,
    model: Mapping[str, str],
    calls: Calls,
    progress: Progress = SILENT,
) -> Labelling:
    """Raw utility evidence for every item.

    `model` is the scorer's identity (`LmSpec.identity`); with the pairs of a planned batch it is the batch's digest,
    under which `calls` keeps the likelihoods: a batch that it holds is not computed.

    Raises:
        NotPossible: a question with its answer exceeds the model's window even without a passage.
    """
    prompts = ItemPrompts(scorer, template, queries, passages, answers)
    given = [prompts.given(item) for item in items]
    closed = [prompts.closed(item) for item in items]
    pairs = list(dict.fromkeys([*given, *closed]))
    plan = scorer.plan(pairs)
    asking = Remembered(model, calls, STAGES["utility"].version, progress, "utility")
    likelihoods = dict(zip(pairs, asking.score(scorer, pairs, plan), strict=True))
    rows = tuple(
        UtilityRow(
            item.query,
            item.passage,
            item.answer,
            given=likelihoods[with_passage],
            closed_book=likelihoods[without],
            answer_bytes=len(answers[item.query][item.answer].text.strip().encode()),
        )
        for item, with_passage, without in zip(items, given, closed, strict=True)
    )
    cut = prompts.cut
    counts = LabelCounts(len(pairs), plan.tokens, plan.computed, sum(cut.values()), len(cut), plan.backed_up)
    return Labelling(rows, counts)


class ItemPrompts:
    """Prompts of items, cut where they would exceed the window; `cut` holds the passage tokens cut per item."""

    def __init__(
        self,
        scorer: Scorer | ContrastiveScorer,
        template: PromptTemplate,
        queries: Mapping[str, Query],
        passages: Mapping[str, Passage],
        answers: Mapping[str, Sequence[Answer]],
    ) -> None:
        self._scorer, self._template = scorer, template
        self._queries, self._passages, self._answers = queries, passages, answers
        self.cut: dict[UtilityItem, int] = {}

    def given(self, item: UtilityItem) -> Pair:
        """The prompt with the item's passage, and the answer that follows."""
        return self._pair(item, [self._passages[item.passage]])

    def closed(self, item: UtilityItem) -> Pair:
        """The prompt without any passage, and the answer that follows."""
        return self._pair(item, [])

    def _pair(self, item: UtilityItem, passages: Sequence[Passage]) -> Pair:
        from uae_bench.lm.base import fit_passages

        query = self._queries[item.query].text
        answer = continuation(self._answers[item.query][item.answer].text)
        scorer = self._scorer
        fitted = fit_passages(self._template, query, passages, answer, scorer.window, scorer.tokenizer)
        if fitted.cut_tokens:
            self.cut[item] = fitted.cut_tokens
        return fitted.prompt, answer


def log_ratio(row: UtilityRow) -> float:
    """Gain in the answer's mean log-probability when the passage is added, in nats per token. Negative: it hurts."""
    return row.given.mean - row.closed_book.mean


def inverse_perplexity(row: UtilityRow) -> float:
    """exp of the answer's mean log-probability given the passage, in (0, 1] (arXiv 2604.22722, Eq. 1)."""
    return math.exp(row.given.mean)


def perplexity_reduction(row: UtilityRow) -> float:
    """Perplexity of the answer without the passage minus with it; a passage that misleads costs without bound."""
    return math.exp(-row.closed_book.mean) - math.exp(-row.given.mean)


def nats_per_byte(row: UtilityRow) -> float:
    """Gain in the answer's log-probability per UTF-8 byte: comparable between families, whose tokens differ."""
    return (row.given.logprob - row.closed_book.logprob) / row.answer_bytes


Definition = Callable[[UtilityRow], float]
DEFINITIONS: Mapping[str, Definition] = {
    "log-ratio": log_ratio,
    "inverse-perplexity": inverse_perplexity,
    "perplexity-reduction": perplexity_reduction,
    "nats-per-byte": nats_per_byte,
}


def utilities(rows: Iterable[UtilityRow], definition: str = "log-ratio") -> dict[str, dict[str, float]]:
    """Utility per query and passage: the mean over the reference answers. A query without rows does not appear.

    Raises:
        UnknownName: no definition is called so.
        BadInput: one query, passage and answer stands in two rows.
    """
    if definition not in DEFINITIONS:
        raise UnknownName(f"no utility is defined as {definition!r}", hint=nearest(definition, DEFINITIONS))
    of_row = DEFINITIONS[definition]
    values: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        answers = values[row.query][row.passage]
        if row.answer in answers:
            what = f"query {row.query!r}, passage {row.passage!r}, answer {row.answer}"
            raise BadInput(f"two utility rows for {what}", hint="drop one: a mean must count each reference once")
        answers[row.answer] = of_row(row)
    return {
        query: {passage: math.fsum(answers.values()) / len(answers) for passage, answers in passages.items()}
        for query, passages in values.items()
    }
