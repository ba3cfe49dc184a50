"""Reference rows: rankings made from what no retriever may see. A reference is `Task -> Run`, not a retriever:

it is marked on every board, can never be trained, and nothing may follow it. One that reorders may stand at the end of
a chain (`bm25>seper`): the row is a reference then, whatever comes before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from uae_bench.errors import NotPossible
from uae_bench.records import Ranking, RetrievalView, Run
from uae_bench.retrieval.chain import NO_LEARNERS, System, parse_system
from uae_bench.seper.options import SeperOptions

Gains = Mapping[str, Mapping[str, float]]
"""Query -> passage -> what the passage is worth to it."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An upper bound by name.

    `reads` says what decides it: the annotators' evidence, the scorer's utilities, or the generator's sampled answers.
    `reorders`: it may end a chain. `options` is what `--set NAME.…` may set, where anything.
    """

    name: str
    summary: str
    reads: Literal["evidence", "utilities", "samples"]
    rank: Callable[[RetrievalView, Mapping[str, Mapping[str, int]], Gains, int], Run]
    reorders: bool = False
    options: type[BaseModel] | None = None


@dataclass(frozen=True, slots=True)
class ReferenceSystem:
    """A reference row as one writes it: over the whole pool, or over what `first` finds."""

    name: str
    reference: Reference
    first: System | None = None


def _from_gains(name: str, view: RetrievalView, gains: Gains, default: float, depth: int) -> Run:
    """Each pool ordered by its gains; a passage without one has `default`."""
    corpus = tuple(passage.id for passage in view.passages)
    rankings = {}
    for query in view.queries:
        pool = corpus if view.pools is None else view.pools[query.id]
        known = gains.get(query.id, {})
        rankings[query.id] = Ranking.from_scores({passage: known.get(passage, default) for passage in pool}, depth)
    return Run(name, depth, rankings)


def by_evidence(view: RetrievalView, qrels: Mapping[str, Mapping[str, int]], gains: Gains, depth: int) -> Run:
    """Passages by the grade that annotators gave them: the best that human judgement allows."""
    grades = {query: {passage: float(grade) for passage, grade in row.items()} for query, row in qrels.items()}
    return _from_gains("oracle-evidence", view, grades, 0.0, depth)


def by_utility(view: RetrievalView, qrels: Mapping[str, Mapping[str, int]], gains: Gains, depth: int) -> Run:
    """Passages by the scorer's own utility: the best that the scorer's judgement allows.

    Queries without utilities (unanswerable ones) keep the order of passage ids.
    """
    return _from_gains("oracle-utility", view, gains, float("-inf"), depth)


def by_seper(view: RetrievalView, qrels: Mapping[str, Mapping[str, int]], gains: Gains, depth: int) -> Run:
    """Passages by ΔSePer (uae_bench.seper). Queries without a reference that answers keep the order of passage ids."""
    return _from_gains("seper", view, gains, float("-inf"), depth)


def reordered(name: str, run: Run, gains: Gains, depth: int) -> Run:
    """The passages of a run by their gains; a query without any keeps its ranking."""
    rankings = {
        query: Ranking.from_scores({passage: gains[query][passage] for passage in ranking.passages}, depth)
        if query in gains
        else ranking
        for query, ranking in run.rankings.items()
    }
    return Run(name, depth, rankings)


REFERENCES: Mapping[str, Reference] = {
    reference.name: reference
    for reference in (
        Reference("oracle-evidence", "passages ordered by the annotators' evidence", "evidence", by_evidence),
        Reference("oracle-utility", "passages ordered by the scorer's utility", "utilities", by_utility),
        Reference(
            "seper",
            "passages ordered by how far they move the generator's sampled answers towards the reference; ends a chain",
            "samples",
            by_seper,
            reorders=True,
            options=SeperOptions,
        ),
    )
}


def is_reference(name: str) -> bool:
    """Whether a row's name is a reference's, or a chain's that ends in one."""
    return _last(name) in REFERENCES


def parse_reference(name: str, *, known: Mapping[str, str] = NO_LEARNERS) -> ReferenceSystem:
    """The reference row that a name spells; `known` as for `parse_system`.

    Raises:
        NotPossible: a reference stands where none may. UnknownName, UsageError: of what comes before it.
    """
    refuse_chained(name)
    first, chained, _ = name.rpartition(">")
    reference = REFERENCES[_last(name)]
    if not chained:
        return ReferenceSystem(reference.name, reference)
    system = parse_system(first, known=known)
    return ReferenceSystem(f"{system.name}>{reference.name}", reference, system)


def refuse_chained(name: str) -> None:
    """References see answers or judgements: nothing may follow one, and only one that reorders may follow others.

    Raises:
        NotPossible: the chain holds one elsewhere.
    """
    steps = [step.strip() for step in re.split(r"[>(),]", name)]
    places = [place for place, step in enumerate(steps) if step in REFERENCES]
    if not places or len(steps) == 1:
        return
    last = REFERENCES.get(_last(name))
    if places == [len(steps) - 1] and last is not None and last.reorders:
        return
    step = REFERENCES[steps[places[0]]]
    raise NotPossible(
        f"{step.name} reads what no retriever may see and cannot stand in the chain {name!r}",
        hint=f"alone or last: bm25>{step.name}" if step.reorders else "run it as a row of its own",
    )


def _last(name: str) -> str:
    return name.rpartition(">")[2].strip()
