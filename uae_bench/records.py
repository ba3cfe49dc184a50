"""The nouns that flow through the pipeline: frozen data, keyed by id, never by text or position."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from uae_bench.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

AnswerKind = Literal["extractive", "free-form", "yes-no", "unanswerable"]
UNANSWERABLE = "Unanswerable"
LEAST_EFFECTIVE = 20.0
"""Below this many effective documents systems are not told apart by letters, ranks or bold."""


@dataclass(frozen=True, slots=True)
class Passage:
    """What a retriever returns: a piece of a document."""

    id: str
    text: str
    title: str
    document_id: str


@dataclass(frozen=True, slots=True)
class Query:
    """What a retriever is asked. `document_id` names the document it was asked about, where there is one."""

    id: str
    text: str
    document_id: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """One reference answer."""

    text: str
    kind: AnswerKind

    @property
    def is_answer(self) -> bool:
        """Whether it answers the query, and so has a utility: neither `unanswerable` nor blank."""
        return self.kind != "unanswerable" and bool(self.text.strip())


def plain_answer(text: str) -> Answer:
    """A reference whose kind its source does not tell: free-form, but for `Unanswerable`.

    QASPER's evaluator and our prompts say by that word that the passages hold no answer.
    """
    return Answer(text, "unanswerable" if text == UNANSWERABLE else "free-form")


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotator's answer and the passages that she marked as evidence for it (ids, may be empty)."""

    answer: Answer
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RetrievalView:
    """All that a retriever may see: no answers, no judgements.

    `pools` maps each query id to the passage ids it may retrieve; None means the whole corpus.
    `passages` is the whole corpus: term statistics come from it even where candidates come from a pool.
    """

    passages: Sequence[Passage]
    queries: Sequence[Query]
    pools: Mapping[str, tuple[str, ...]] | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Passage ids best first with their scores, cut at the run's depth; equal scores stand in order of passage id."""

    passages: tuple[str, ...]
    scores: tuple[float, ...]

    @classmethod
    def from_scores(cls, scores: Mapping[str, float], depth: int) -> Ranking:
        """The best `depth` passages of a score per passage.

        Raises:
            BadInput: a score is nan.
        """
        if any(math.isnan(score) for score in scores.values()):
            bad = next(passage for passage, score in scores.items() if math.isnan(score))
            raise BadInput(f"passage {bad!r} has the score nan; a ranking needs an order", hint="drop it or score it")
        best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:depth]
        return cls(tuple(passage for passage, _ in best), tuple(float(score) for _, score in best))


@dataclass(frozen=True, slots=True)
class Run:
    """What one system retrieved: a ranking per query id, each at most `depth` long."""

    system: str
    depth: int
    rankings: Mapping[str, Ranking]

    def __len__(self) -> int:
        return len(self.rankings)


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Summed log-probability (nats) of a continuation and the number of tokens it was summed over (at least 1)."""

    logprob: float
    tokens: int

    @property
    def mean(self) -> float:
        """Mean log-probability in nats per token."""
        return self.logprob / self.tokens


@dataclass(frozen=True, slots=True)
class UtilityRow:
    """Raw evidence for one (query, passage, reference answer): its likelihood with the passage and without any.

    `answer` is the reference's index among the query's answers; `answer_bytes` its length in UTF-8 bytes.
    """

    query: str
    passage: str
    answer: int
    given: Likelihood
    closed_book: Likelihood
    answer_bytes: int


@dataclass(frozen=True, slots=True)
class SampleRow:
    """A text that was sampled as an answer, with one passage or with none (None), and how often among the samples.

    `logprob` (nats) is its summed log-probability after that prompt, over `tokens`; both 0 where it says nothing.
    """

    query: str
    passage: str | None
    text: str
    times: int
    logprob: float
    tokens: int


@dataclass(frozen=True, slots=True)
class EntailmentRow:
    """How probable it is that a sampled text entails a reference answer of its query (its index), and is entailed."""

    query: str
    text: str
    answer: int
    entails: float
    entailed: float


@dataclass(frozen=True, slots=True)
class ContrastRow:
    """One reference answer (its index) of a query under contrastive decoding with a passage (`uae_bench.contrast`)."""

    query: str
    passage: str
    answer: int
    likelihood: Likelihood


Finish = Literal["stop", "length", "refused"]
"""Why an answer ended: by an end token or stop text, at the limit, or because a vendor's model declined to answer."""


@dataclass(frozen=True, slots=True)
class GenerationRecord:
    """What a generator wrote for one query, the passages it was shown (best first) and what that cost in tokens."""

    query: str
    text: str
    context: tuple[str, ...]
    prompt_tokens: int
    completion_tokens: int
    truncated_tokens: int
    finish: Finish


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reranker (a step of a chain, as it is written) asked a language model for one query.

    `outcomes` counts the answers by what they were (ok, missing, repetition, wrong format, nothing) where they were
    read as text; `repairs` what was done about them (passages appended, numbers dropped). `cut_tokens` were cut from
    passages to fit the model's window.
    """

    query: str
    step: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cut_tokens: int
    outcomes: Mapping[str, int] = field(default_factory=dict)
    repairs: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Value:
    """A measure's value for one query. nan = undefined, and then `why` says so."""

    query: str
    measure: str
    value: float
    why: str = ""

    def __post_init__(self) -> None:
        if math.isnan(self.value) and not self.why:
            raise ValueError(f"{self.measure} of {self.query} is nan without a reason")


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval [low, high] at the given level."""

    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True, slots=True)
class Comparison:
    """System minus baseline on one measure over shared queries: mean difference, interval, p raw and adjusted.

    `p` and `p_adjusted` are nan where too few documents allow no test, and `why` says so.
    """

    system: str
    baseline: str
    measure: str
    difference: float
    interval: Interval
    p: float
    p_adjusted: float
    queries: int
    documents: int
    effective_documents: float
    why: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """What a language model has in mind after (query id, passage id) pairs: (pairs, D), float16; row i is pair i's.

    `tokens` is how many stood in the prompts.
    """

    pairs: tuple[tuple[str, str], ...]
    values: npt.NDArray[np.float16]
    tokens: int


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What a trainer is handed: train and dev queries, candidates, raw utilities and marked evidence, all by id.

    `candidates` is the first-stage run over the labelled pool; `utilities` holds every candidate of every query
    that has an answer. `evidence` maps a query id to the passage ids that annotators marked. `states`, where a
    trainer asked for them, holds every pair of `utilities`; so does `contrasts`, by query and passage one contrastive
    likelihood for each reference that answers the query.
    """

    passages: Mapping[str, Passage]
    train: Sequence[Query]
    dev: Sequence[Query]
    candidates: Run
    utilities: Mapping[str, Mapping[str, float]]
    evidence: Mapping[str, frozenset[str]]
    states: States | None = None
    contrasts: Mapping[str, Mapping[str, tuple[Likelihood, ...]]] | None = None
    definition: str = "log-ratio"
    provenance: Mapping[str, str] = field(default_factory=dict)


def by_id(items: Iterable[Passage]) -> dict[str, Passage]:
    """Passages by id.

    Raises:
        BadInput: an id occurs twice.
    """
    table: dict[str, Passage] = {}
    for item in items:
        if item.id in table:
            raise BadInput(f"two passages have the id {item.id!r}", hint="make ids unique within the task")
        table[item.id] = item
    return table


def clusters_of(queries: Iterable[Query]) -> dict[str, str]:
    """The cluster of each query: its document, or the query alone where it was asked about none."""
    return {
        query.id: f"query {query.id}" if query.document_id is None else f"document {query.document_id}"
        for query in queries
    }


def effective_clusters(clusters: Iterable[str]) -> float:
    """(Σ n_d)² / Σ n_d² over the clusters' sizes n_d (Kish 1965): 10 equal documents are 10, one large one hardly more
    than 1. `clusters` names the cluster of each query; 0 where there are no queries."""
    sizes = Counter(clusters).values()
    return sum(sizes) ** 2 / sum(size**2 for size in sizes) if sizes else 0.0


def batches(count: int, size: int) -> Iterator[range]:
    """Consecutive index ranges of at most `size` that cover range(count)."""
    return (range(start, min(start + size, count)) for start in range(0, count, size))
