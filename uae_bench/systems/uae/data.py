"""From a training set to candidate sets: which queries, which d⁺, which negatives, and how many fell at each gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from uae_bench.records import Query, TrainingSet

Scores = Mapping[str, Mapping[str, float]]  # query id -> passage id -> score
Rule = Literal["evidence", "best-utility"]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A query with all its labelled candidates, in order of the run. `positive` is d⁺ and `rule` where it came from.

    `further_evidence`, in order of id, is the evidence besides a d⁺ that is evidence: it is never drawn as a negative.
    """

    query: Query
    candidates: tuple[str, ...]
    positive: str
    rule: Rule
    further_evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CandidateSet:
    """B = {d⁺, further evidence, d⁻_1 … d⁻_k} of one query: `passages[0]` is d⁺, and negatives start at
    `first_negative` (1 where there is no further evidence, as in the paper). `scores`, in that order, are what the
    teacher reads.

    `document` is the query's, or its own id where it has none: queries of one document are trained on together.
    """

    query: str
    document: str
    passages: tuple[str, ...]
    scores: tuple[float, ...]
    first_negative: int = 1


@dataclass(frozen=True, slots=True)
class GateCounts:
    """What became of the near passages: `near` = among the top k by base similarity, `kept` = also passed the gate.

    `dropped` queries lost all their negatives; `queries` counts those that had any candidate to draw them from.
    """

    queries: int
    dropped: int
    near: int
    kept: int


def labelled(queries: Sequence[Query], data: TrainingSet, positive: Rule) -> list[Labelled]:
    """The queries with utilities, each with its d⁺; a query without answers has no utilities and is left out.

    d⁺ by "evidence" is the evidence of highest utility, and the best candidate by utility where none is evidence; by
    "best-utility" evidence is not looked at. Equal utilities are decided by passage id.
    """
    found = []
    for query in queries:
        utilities = data.utilities.get(query.id, {})
        ranking = data.candidates.rankings.get(query.id)
        candidates = tuple(p for p in ranking.passages if p in utilities) if ranking else ()
        if not candidates:
            continue
        by_utility = sorted(candidates, key=lambda passage: (-utilities[passage], passage))
        evidence = [p for p in by_utility if p in data.evidence.get(query.id, frozenset())]
        if evidence and positive == "evidence":
            found.append(Labelled(query, candidates, evidence[0], "evidence", tuple(sorted(evidence[1:]))))
        else:
            found.append(Labelled(query, candidates, by_utility[0], "best-utility", ()))
    return found


def nearest(item: Labelled, similarity: Mapping[str, float], negatives: int) -> tuple[str, ...]:
    """The `negatives` candidates most similar to the query by the starting encoder, d⁺ and further evidence aside."""
    others = [p for p in item.candidates if p != item.positive and p not in item.further_evidence]
    return tuple(sorted(others, key=lambda passage: (-similarity[passage], passage))[:negatives])


def gated(
    items: Sequence[Labelled], similarity: Scores, scores: Scores, *,
    negatives: int, margin: float, with_further_evidence: bool,
) -> tuple[list[CandidateSet], GateCounts]:  # fmt: skip
    """(3) Utility-gated hard negatives: d⁻ stays iff it is among the top k by base similarity and
    R(q,d⁺) − R(q,d⁻) > δ. `scores` holds R (for `uae-direct`, U) of d⁺, of further evidence and of every near
    passage.

    Further evidence, where sets are to hold it, passes by the gate: the teacher decides how much of the label it gets.
    """
    sets, queries, near_count, kept_count = [], 0, 0, 0
    for item in items:
        near = nearest(item, similarity[item.query.id], negatives)
        of = scores[item.query.id]
        kept = [passage for passage in near if of[item.positive] - of[passage] > margin]
        near_count += len(near)
        queries += bool(near)
        if kept:
            positives = (item.positive, *(item.further_evidence if with_further_evidence else ()))
            passages = (*positives, *kept)
            document = item.query.document_id or item.query.id
            scored = tuple(of[passage] for passage in passages)
            sets.append(CandidateSet(item.query.id, document, passages, scored, len(positives)))
            kept_count += len(kept)
    return sets, GateCounts(queries=queries, dropped=queries - len(sets), near=near_count, kept=kept_count)
