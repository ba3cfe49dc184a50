"""Reference rows: rankings made from what no retriever may see. A reference is `Task -> Run`, not a retriever:

it is marked on every board, and can be neither trained nor chained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from uae_bench.errors import NotPossible
from uae_bench.records import Ranking, RetrievalView, Run

Utilities = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Reference:
    """An upper bound by name. `needs_utilities` says whether it reads the scorer's utilities or the evidence."""

    name: str
    summary: str
    needs_utilities: bool
    rank: Callable[[RetrievalView, Mapping[str, Mapping[str, int]], Utilities, int], Run]


def _from_gains(
    name: str, view: RetrievalView, gains: Mapping[str, Mapping[str, float]], default: float, depth: int
) -> Run:
    """Each pool ordered by its gains; a passage without one has `default`."""
    corpus = tuple(passage.id for passage in view.passages)
    rankings = {}
    for query in view.queries:
        pool = corpus if view.pools is None else view.pools[query.id]
        known = gains.get(query.id, {})
        rankings[query.id] = Ranking.from_scores({passage: known.get(passage, default) for passage in pool}, depth)
    return Run(name, depth, rankings)


def by_evidence(view: RetrievalView, qrels: Mapping[str, Mapping[str, int]], utilities: Utilities, depth: int) -> Run:
    """Passages by the grade that annotators gave them: the best that human judgement allows."""
    gains = {query: {passage: float(grade) for passage, grade in row.items()} for query, row in qrels.items()}
    return _from_gains("oracle-evidence", view, gains, 0.0, depth)


def by_utility(view: RetrievalView, qrels: Mapping[str, Mapping[str, int]], utilities: Utilities, depth: int) -> Run:
    """Passages by the scorer's own utility: the best that the scorer's judgement allows.

    Queries without utilities (unanswerable ones) keep the order of passage ids.
    """
    return _from_gains("oracle-utility", view, utilities, float("-inf"), depth)


REFERENCES: Mapping[str, Reference] = {
    reference.name: reference
    for reference in (
        Reference("oracle-evidence", "passages ordered by the annotators' evidence", False, by_evidence),
        Reference("oracle-utility", "passages ordered by the scorer's utility", True, by_utility),
    )
}


def refuse_chained(name: str) -> None:
    """References see answers or judgements and so may stand in no chain.

    Raises:
        NotPossible: the chain holds one.
    """
    for step in name.split(">"):
        if step.strip() in REFERENCES and ">" in name:
            raise NotPossible(
                f"{step.strip()} reads what no retriever may see and cannot stand in the chain {name!r}",
                hint="run it as a row of its own",
            )
