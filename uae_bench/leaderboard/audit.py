"""Whether a record says what its per-query values say."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from uae_bench.errors import BadInput
from uae_bench.metrics import by_group, summarise
from uae_bench.records import Interval, Value
from uae_bench.result import MeasureResult, QueryGroups, ResultRecord
from uae_bench.significance import bootstrap_intervals, effective_clusters

PRECISION = 1e-9
"""Difference up to which two figures are one: machines may add up the same numbers in another order."""

SEED = 0
"""Of the resampled documents behind an interval, as in the records."""


def audit(record: ResultRecord, values: Sequence[Value], groups: QueryGroups, where: str) -> None:
    """Recompute means, intervals, counts, reasons, means by kind and numbers of documents.

    `where` names the record in messages.

    Raises:
        BadInput: the first thing that differs.
    """
    documents = groups.documents
    _same(where, "queries", record.queries, len(documents))
    _same(where, "documents", record.documents, len(set(documents.values())))
    _same(where, "effective documents", record.effective_documents, effective_clusters(documents.values()))
    apart: dict[str, list[Value]] = {}
    for value in values:
        apart.setdefault(value.measure, []).append(value)
    _same(where, "measures", sorted(measure.measure for measure in record.measures), sorted(apart))
    intervals = bootstrap_intervals(values, documents, np.random.default_rng(SEED))
    for said in record.measures:
        own = apart[said.measure]
        if {value.query for value in own} != documents.keys():
            raise BadInput(f"{where}: {said.measure} is not of the {len(documents)} queries", hint=_HINT)
        _check_measure(said, own, groups.kinds, intervals[said.measure], where)


def _check_measure(
    said: MeasureResult, values: Sequence[Value], kinds: Mapping[str, str], interval: Interval, where: str
) -> None:
    (mean,) = summarise(values)
    undefined = Counter(value.why for value in values if math.isnan(value.value))
    _same(where, f"the mean of {said.measure}", said.mean, _number(mean.value))
    _same(where, f"the interval of {said.measure} from", said.low, _number(interval.low))
    _same(where, f"the interval of {said.measure} to", said.high, _number(interval.high))
    _same(where, f"n of {said.measure}", said.n, mean.n)
    _same(where, f"the undefined of {said.measure}", dict(said.undefined), dict(undefined))
    found = _by_kind(values, kinds)
    _same(where, f"the kinds of {said.measure}", sorted(said.by_kind), sorted(found))
    for kind, number in found.items():
        _same(where, f"{said.measure} of {kind} answers", said.by_kind[kind], number)


_HINT = "one of the two was edited; run the experiment again and add its result"


def _by_kind(values: Sequence[Value], kinds: Mapping[str, str]) -> dict[str, float | None]:
    """Means by kind of answer; nothing where there is only one kind."""
    known = [value for value in values if value.query in kinds]
    if len({kinds[value.query] for value in known}) < 2:
        return {}
    return {kind: _number(means[0].value) for kind, means in by_group(known, kinds).items()}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _same(where: str, what: str, said: object, found: object) -> None:
    if isinstance(said, float) and isinstance(found, float):
        equal = math.isclose(said, found, rel_tol=PRECISION, abs_tol=PRECISION)
    else:
        equal = said == found
    if not equal:
        raise BadInput(f"{where}: the record has {said} for {what}, its per-query values {found}", hint=_HINT)
