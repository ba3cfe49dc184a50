"""What the retrieved passages are worth to a language model: ExpUtil@k and utility-nDCG@k.

Utilities come labelled under a definition that the result record names. A question without an answer has none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from uae_bench.errors import BadInput
from uae_bench.metrics.judged import Judged
from uae_bench.metrics.measure import Family, Measure
from uae_bench.records import Value

UNANSWERABLE_QUERY = "the question has no answer, so no passage has a utility"
NO_REFERENCE = "the query has no reference answer, so no passage has a utility"
NOTHING_HELPS = "no passage of the labelled pool helps (all utilities are 0 or less)"


def expected_utility(measures: Sequence[Measure], judged: Judged) -> Iterator[Value]:
    """Mean utility of the first k passages (ExpUtil@k, arXiv 2604.22722), in the unit of the utility's definition.

    Divides by k, or by the size of the labelled pool where that is smaller; a rank left empty adds 0, for without
    a passage nothing is gained.
    """
    for measure in measures:
        cutoff = _cutoff(measure)
        for query in judged.queries:
            utilities, why = _labelled(judged, query)
            ranks = min(cutoff, len(_pool(judged, query, utilities)))
            value = sum(_top(judged, query, utilities, cutoff)) / ranks if ranks else math.nan
            yield Value(query, str(measure), value, why)


def utility_ndcg(measures: Sequence[Measure], judged: Judged) -> Iterator[Value]:
    """DCG of the gains max(0, U) at cutoff k over the DCG of the best ranking of the labelled pool, in [0, 1].

    1 also where a run outdoes the pool, with passages that were labelled for this run only. nan where no passage of
    the pool helps: there is nothing that a ranking could have got right.
    """
    for measure in measures:
        cutoff = _cutoff(measure)
        labelled = {query: _labelled(judged, query) for query in judged.queries}
        dcg = _dcg([_top(judged, query, given, cutoff) for query, (given, _) in labelled.items()], cutoff)
        best_first = [sorted(_pool(judged, query, given), reverse=True) for query, (given, _) in labelled.items()]
        ideal = _dcg(best_first, cutoff)
        for (query, (_, why)), gained, best in zip(labelled.items(), dcg, ideal, strict=True):
            if best > 0:
                yield Value(query, str(measure), min(1.0, float(gained / best)))
            else:
                yield Value(query, str(measure), math.nan, why or NOTHING_HELPS)


def _dcg(utilities: Sequence[Sequence[float]], cutoff: int) -> npt.NDArray[np.float64]:
    """Σ max(0, U_r) / log2(1 + r) over the ranks r = 1 … k of each ranking of utilities; (Q,)."""
    gains = np.zeros((len(utilities), cutoff))  # (Q, k), empty ranks gain nothing
    for row, values in zip(gains, utilities, strict=True):
        row[: len(values)] = values[:cutoff]
    discounted = np.maximum(gains, 0.0) / np.log2(np.arange(2, cutoff + 2))
    return np.asarray(discounted.sum(axis=1))


def _labelled(judged: Judged, query: str) -> tuple[Mapping[str, float], str]:
    """The query's utilities, or none and why there are none.

    Raises:
        BadInput: the query has an answer and yet no utilities, or a utility is nan.
    """
    assert judged.utilities is not None  # Judged.check saw to it
    utilities = judged.utilities.get(query)
    if utilities:
        if any(math.isnan(utility) for utility in utilities.values()):
            bad = next(passage for passage, utility in utilities.items() if math.isnan(utility))
            raise BadInput(f"the utility of {bad!r} for the query {query!r} is nan", hint="label it again")
        return utilities, ""
    if judged.is_answerable(query):
        raise BadInput(
            f"the query {query!r} has an answer, and no passage has a utility for it",
            hint="label utilities over every answerable query of the split",
        )
    return {}, UNANSWERABLE_QUERY if judged.references(query) else NO_REFERENCE


def _pool(judged: Judged, query: str, utilities: Mapping[str, float]) -> list[float]:
    """The utilities of the passages that are labelled for every system alike.

    Raises:
        BadInput: one of them has none, or there are none though the query was labelled.
    """
    if judged.labelled_pool is None:
        return list(utilities.values())
    pool = judged.labelled_pool.get(query, frozenset())
    unlabelled = sorted(pool - utilities.keys())
    if unlabelled or (utilities and not pool):
        what = f"{unlabelled[0]!r} of it has no utility" if unlabelled else "it is empty"
        raise BadInput(f"the labelled pool of the query {query!r} is of no use: {what}", hint="label the whole pool")
    return [utilities[passage] for passage in pool]


def _top(judged: Judged, query: str, utilities: Mapping[str, float], cutoff: int) -> list[float]:
    """Utilities of the first `cutoff` passages, best ranked first; none where the query has none.

    Raises:
        BadInput: a passage among them was never labelled (all such passages are named).
    """
    if not utilities:
        return []
    top = judged.top(query, cutoff)
    missing = [passage for passage in top if passage not in utilities]
    if missing:
        raise BadInput(
            f"{judged.run.system} ranks {', '.join(missing)} among the first {cutoff} for the query {query!r}, "
            f"and the {len(utilities)} passages with a utility do not include them",
            hint="label the union of the pool and what every system retrieves",
        )
    return [utilities[passage] for passage in top]


def _cutoff(measure: Measure) -> int:
    assert measure.cutoff is not None  # the grammar requires one
    return measure.cutoff


EXPECTED_UTILITY = Family(
    "ExpUtil",
    "mean utility of the first k passages",
    expected_utility,
    needs=frozenset({"utilities"}),
    cutoff="required",
    bounds=(-math.inf, math.inf),
)
UTILITY_NDCG = Family(
    "uNDCG",
    "nDCG with the gain max(0, utility), the ideal over the labelled pool",
    utility_ndcg,
    needs=frozenset({"utilities"}),
    cutoff="required",
)
